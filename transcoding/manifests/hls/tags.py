"""Tags with attribute lists (RFC 8216, section 4.2)."""

from collections.abc import Iterable

Attribute = tuple[str, str | None]
"""A name and a value as it is written. None: the attribute is left out."""


def tag(name: str, attributes: Iterable[Attribute]) -> str:
    """Render a tag with the attributes that have a value, in this order."""
    return f"#{name}:{','.join(f'{key}={value}' for key, value in attributes if value is not None)}"


def quoted(text: str) -> str | None:
    """Return the quoted string of a text; None for an empty one. Such strings cannot hold quotes and line breaks."""
    return f'"{" ".join(text.split()).replace(chr(34), chr(39))}"' if text else None


def yes_or_no(value: bool) -> str:  # noqa: FBT001 - the value of an attribute
    return "YES" if value else "NO"
