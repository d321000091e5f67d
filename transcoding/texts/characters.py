"""The characters of text files, whose encoding nothing states."""

import codecs

from transcoding.errors import TextRejected

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
ENCODINGS = (
    "utf-8", "utf-16le", "utf-16be",
    "windows-1250", "windows-1251", "windows-1252", "windows-1253", "windows-1254", "windows-1255", "windows-1256",
    "windows-1257", "windows-1258", "windows-874",
    "iso-8859-1", "iso-8859-2", "iso-8859-5", "iso-8859-7", "iso-8859-9", "iso-8859-15",
    "koi8-r", "koi8-u", "gb18030", "gbk", "big5", "euc-jp", "shift_jis", "iso-2022-jp", "euc-kr",
)  # fmt: skip
"""Names under which a request may state one; those of web pages (WHATWG Encoding)."""
_OF_PYTHON = {"windows-874": "cp874"}
_FEW_BYTES = 1024


def characters(data: bytes, encoding: str = "") -> str:
    """Return the text of a file, with its lines ended by line feeds alone.

    `encoding`: one of `ENCODINGS`; empty: it is UTF-8 or UTF-16, which everything else differs from. Raises
    TextRejected for anything else: the legacy encodings can only be guessed.
    """
    text = _decoded(data, encoding)
    if "\0" in text:
        raise TextRejected("the file is no text: it contains NUL characters")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(data: bytes, encoding: str) -> str:
    try:
        return _decode(data, encoding or _recognized(data)).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if encoding:
            raise TextRejected(f"the file is not in {encoding}: byte {error.start} is none of its characters") from None
        raise TextRejected(
            "its characters are neither UTF-8 nor UTF-16: save it as UTF-8, or state its encoding, such as windows-1252"
        ) from None


def _decode(data: bytes, encoding: str) -> str:
    return data.decode(_OF_PYTHON.get(encoding, encoding))


def _recognized(data: bytes) -> str:
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if marked:
        return marked
    head = data[:_FEW_BYTES]
    if b"\0" not in head:
        return "utf-8"
    return "utf-16be" if head[::2].count(0) > head[1::2].count(0) else "utf-16le"
