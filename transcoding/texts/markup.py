"""The markup of cues: what players get has the tags of WebVTT and nothing else (W3C WebVTT, section 4.2.2).

Whatever looks like another tag is left out, its content is text. Nothing in a cue can end it, or become a program.
"""

import html
import re
from unicodedata import category

_PIECES = re.compile(r"(<[^<>]*>)")
"""A tag never contains another bracket: each piece is looked at once, however the text is nested."""
_TAG = re.compile(r"(/?)([a-z]{1,4})((?:\.[^\s.]+)*)(?:\s+(.*))?", re.IGNORECASE | re.DOTALL)
_CLASS = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_ENTITY = re.compile(r"&(?:amp|lt|gt|nbsp|lrm|rlm|quot|#\d{1,7}|#x[0-9a-f]{1,6});", re.IGNORECASE)
_ANNOTATED = frozenset({"v", "lang"})
"""Tags with an annotation: who speaks, and in which language."""
_TAGS = frozenset({"b", "c", "i", "rt", "ruby", "u"}) | _ANNOTATED
_MAX_CLASSES, _MAX_DEPTH = 4, 8
_MAX_ANNOTATION = 100


def cleaned(text: str) -> str:
    """Return the text of a cue of WebVTT or SubRip with the tags of WebVTT alone, each of them closed."""
    opened: list[str] = []
    pieces = [
        _tag(piece[1:-1], opened) if position % 2 else escaped(_ENTITY.sub(_letter, piece))
        for position, piece in enumerate(_PIECES.split(text.strip()))
    ]
    pieces += [f"</{name}>" for name in reversed(opened)]
    return "\n".join(line for line in "".join(pieces).split("\n") if line.strip())


def _letter(entity: re.Match[str]) -> str:
    return html.unescape(entity[0])


def _tag(content: str, opened: list[str]) -> str:
    """Return what becomes of a tag, and keep account of those that are open."""
    found = _TAG.fullmatch(content.strip())
    name = found[2].lower() if found else ""
    if found is None or name not in _TAGS:
        return ""
    if found[1]:
        return _closing(name, opened)
    if len(opened) == _MAX_DEPTH:
        return ""
    opened.append(name)
    classes = [each for each in found[3].split(".") if _CLASS.fullmatch(each)][:_MAX_CLASSES]
    annotation = " ".join((found[4] or "").split())[:_MAX_ANNOTATION] if name in _ANNOTATED else ""
    return f"<{'.'.join((name, *classes))}{' ' if annotation else ''}{escaped(_ENTITY.sub(_letter, annotation))}>"


def _closing(name: str, opened: list[str]) -> str:
    """Close a tag, and those that were opened within it. One that is not open is left out."""
    if name not in opened:
        return ""
    closed = ""
    while not closed.endswith(f"</{name}>"):
        closed += f"</{opened.pop()}>"
    return closed


def escaped(text: str) -> str:
    """Return plain text as WebVTT writes it, without control characters."""
    printable = "".join(letter for letter in text if letter == "\n" or category(letter) != "Cc")
    return printable.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
