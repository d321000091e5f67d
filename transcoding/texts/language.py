"""Tags of languages that people write (BCP 47, RFC 5646)."""

import re

MAX_LENGTH = 35
"""Long enough for every tag in use (RFC 5646, section 4.4.1)."""
_TAG = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})"
    r"(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*"
    r"(?:-x(?:-[a-z0-9]{1,8})+)?",
    re.ASCII,
)


def language_tag(text: str) -> str:
    """Return a well-formed tag in its usual letters, such as pt-BR. Raises ValueError for anything else."""
    found = _TAG.fullmatch(text.lower()) if len(text) <= MAX_LENGTH else None
    if found is None:
        raise ValueError("must be a tag of a language by BCP 47, such as de, pt-BR or zh-Hans")
    tag = found[0]
    for part, written in (("script", str.title), ("region", str.upper)):
        if found[part]:
            start, end = found.span(part)
            tag = tag[:start] + written(tag[start:end]) + tag[end:]
    return tag
