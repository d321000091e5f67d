"""MPD documents: what those of all kinds have in common."""

from datetime import UTC, datetime
from fractions import Fraction
from xml.etree import ElementTree as ET

from transcoding.manifests.dash.adaptation import Attributes

_NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"
_PROFILE = "urn:mpeg:dash:profile:isoff-live:2011"


def mpd(kind: str, attributes: Attributes) -> ET.Element:
    """Return the root element of a `static` or `dynamic` MPD."""
    return ET.Element("MPD", {"xmlns": _NAMESPACE, "profiles": _PROFILE, "type": kind, **attributes})


def rendered(root: ET.Element) -> str:
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def date_time(moment: datetime) -> str:
    """Write a moment as XML Schema does, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def length(seconds: Fraction) -> str:
    """Write a length of time as XML Schema does, to the microsecond."""
    return f"PT{float(seconds):.6f}".rstrip("0").rstrip(".") + "S"
