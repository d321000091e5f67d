"""Reading of HLS playlists (RFC 8216): what a live stream needs of them, line by line, from bytes of strangers.

No library: those that there are read everything, and leave the bounds to others.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from outbound.fetching import Part
from outbound.urls import joined_url
from relay.errors import SourceNotMedia, SourceUnsupported

_MARK, _BYTE_ORDER_MARK = b"#EXTM3U", b"\xef\xbb\xbf"
_ATTRIBUTE = re.compile(r'(?<![A-Z0-9-])([A-Z0-9-]{1,64})=("[^"]*"|[^",]*)')
_LINE = re.compile(r"[^\r\n]+")
_RANGE = re.compile(r"(\d{1,15})(?:@(\d{1,15}))?")
_RESOLUTION = re.compile(r"\d{1,5}x(\d{1,5})")
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{0,9})?")
_MIN_TARGET_SECONDS, _MAX_TARGET_SECONDS = 1.0, 30.0
_MAX_LINE, _MAX_LINES = 8 << 10, 100_000
_MAX_SEGMENTS, _MAX_VARIANTS = 20_000, 200
_AUDIO_CODECS = ("mp4a", "ac-3", "ec-3", "opus", "flac", "mp3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant of a master playlist."""

    url: str
    bandwidth: int
    """Bits per second."""
    height: int
    """Lines; 0: unknown."""
    has_video: bool
    """As far as the playlist says."""
    audio_elsewhere: bool
    """Its audio is in a playlist of its own."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A file, or a part of one."""

    url: str
    part: Part = field(default_factory=Part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment of a media playlist."""

    piece: Piece
    seconds: float
    header: Piece | None = None
    """Its initialization section."""
    encrypted: bool = False
    missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlaylist:
    """A media playlist at one moment."""

    first: int
    """Number of the first segment."""
    target_seconds: float
    segments: Sequence[Segment]
    ended: bool
    start_offset: float | None = None
    """Preferred seconds from the beginning, or if negative from the end."""

    @property
    def behind(self) -> int:
        """Return the number behind that of the last segment."""
        return self.first + len(self.segments)

    def edge(self) -> int:
        """Return the number of the segment to begin with: three before the end of a stream that is not over."""
        if self.start_offset is not None:
            return self._at(self.start_offset)
        return self.first if self.ended else max(self.first, self.behind - 3)

    def _at(self, offset: float) -> int:
        total = sum(segment.seconds for segment in self.segments)
        left = offset if offset >= 0 else max(0.0, total + offset)
        for number, segment in enumerate(self.segments, self.first):
            left -= segment.seconds
            if left < 0:
                return number
        return max(self.first, self.behind - 1)


def is_playlist(head: bytes) -> bool:
    """Tell whether a response with these first bytes is a playlist."""
    return head.removeprefix(_BYTE_ORDER_MARK).startswith(_MARK)


def single_stream(text: bytes, url: str) -> str:
    """Return the first URL of a list that is none of HLS, as receivers offer them; empty: it is one of HLS.

    Raises SourceNotMedia.
    """
    lines = list(_lines(text))
    if any(line.startswith("#EXT-X-") for line in lines):
        return ""
    return next((joined_url(url, line) for line in lines if not line.startswith("#")), "")


def is_master(text: bytes) -> bool:
    """Tell whether a playlist names variants, and no segments. Raises SourceNotMedia."""
    return any(line.startswith("#EXT-X-STREAM-INF:") for line in _lines(text))


def variants_of(text: bytes, url: str) -> list[Variant]:
    """Read a master playlist. `url`: its own. Raises SourceNotMedia."""
    lines = list(_lines(text))
    media = [_attributes(line) for line in lines if line.startswith("#EXT-X-MEDIA:")]
    elsewhere = {each.get("GROUP-ID") for each in media if each.get("TYPE") == "AUDIO" and each.get("URI")}
    found: list[Variant] = []
    attributes = None
    for line in lines:
        if line.startswith("#EXT-X-STREAM-INF:"):
            attributes = _attributes(line)
        elif attributes is not None and not line.startswith("#"):
            if len(found) == _MAX_VARIANTS:
                raise SourceNotMedia(f"the playlist of the source names more than {_MAX_VARIANTS} variants")
            found.append(_variant(attributes, joined_url(url, line), elsewhere))
            attributes = None
    return found


def chosen_variant(variants: Sequence[Variant], *, height: int | None) -> Variant:
    """Choose the smallest variant that has so many lines, or the largest. Raises SourceUnsupported."""
    whole = [variant for variant in variants if not variant.audio_elsewhere]
    if not whole:
        raise SourceUnsupported("the audio of the source is in a playlist of its own, which is not supported")
    whole = [variant for variant in whole if variant.has_video] or whole
    enough = [variant for variant in whole if height is not None and variant.height >= height]
    if enough:
        lines = min(variant.height for variant in enough)
        return max((variant for variant in enough if variant.height == lines), key=lambda each: each.bandwidth)
    return max(whole, key=lambda each: (each.height, each.bandwidth))


def media_playlist(text: bytes, url: str) -> MediaPlaylist:
    """Read a media playlist. `url`: its own. Raises SourceNotMedia."""
    if not is_playlist(text):
        raise SourceNotMedia("the source sends something else than its playlist")
    reader = _Reader(url)
    for line in _lines(text):
        reader.read(line)
    return reader.playlist()


class _Reader:
    """Reads a media playlist line by line."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._segments: list[Segment] = []
        self._first, self._target = 0, 0.0
        self._ended = False
        self._start: float | None = None
        self._header: Piece | None = None
        self._encrypted = False
        self._next_seconds = 0.0
        self._next_range = ""
        self._next_missing = False
        self._behind: tuple[str, int] = ("", 0)
        """The last file of which there was a part, and the position behind that."""

    def read(self, line: str) -> None:
        if not line.startswith("#"):
            self._add(joined_url(self._url, line))
            return
        tag, _, value = line.partition(":")
        match tag:
            case "#EXTINF":
                self._next_seconds = max(0.0, _number(value.partition(",")[0]))
            case "#EXT-X-BYTERANGE":
                self._next_range = value
            case "#EXT-X-GAP":
                self._next_missing = True
            case "#EXT-X-TARGETDURATION":
                self._target = _number(value)
            case "#EXT-X-MEDIA-SEQUENCE":
                self._first = max(0, int(_number(value)))
            case "#EXT-X-ENDLIST":
                self._ended = True
            case "#EXT-X-START" | "#EXT-X-KEY" | "#EXT-X-MAP":
                self._apply(tag, _attributes(line))

    def playlist(self) -> MediaPlaylist:
        longest = max((segment.seconds for segment in self._segments), default=0.0)
        return MediaPlaylist(
            first=self._first,
            target_seconds=min(max(self._target or longest, _MIN_TARGET_SECONDS), _MAX_TARGET_SECONDS),
            segments=self._segments,
            ended=self._ended,
            start_offset=self._start,
        )

    def _apply(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "#EXT-X-START":
            self._start = _number(attributes.get("TIME-OFFSET", "0"))
        elif tag == "#EXT-X-KEY":
            self._encrypted = attributes.get("METHOD", "NONE") != "NONE"
        else:
            part = self._part(attributes.get("BYTERANGE", ""), "")
            self._header = Piece(joined_url(self._url, attributes.get("URI", "")), part)

    def _add(self, url: str) -> None:
        if len(self._segments) == _MAX_SEGMENTS:
            raise SourceNotMedia(f"the playlist of the source names more than {_MAX_SEGMENTS} segments")
        self._segments.append(
            Segment(
                piece=Piece(url, self._part(self._next_range, url)),
                seconds=self._next_seconds,
                header=self._header,
                encrypted=self._encrypted,
                missing=self._next_missing,
            )
        )
        self._next_seconds, self._next_range, self._next_missing = 0.0, "", False

    def _part(self, text: str, url: str) -> Part:
        """Read a range. Without an offset, it begins behind the last part of the same file."""
        found = _RANGE.fullmatch(text.strip())
        if not found or not int(found[1]):
            return Part()
        length = int(found[1])
        start = int(found[2]) if found[2] else self._behind[1] if self._behind[0] == url else 0
        if url:
            self._behind = (url, start + length)
        return Part(start, length)


def _variant(attributes: Mapping[str, str], url: str, elsewhere: set[str | None]) -> Variant:
    resolution = _RESOLUTION.fullmatch(attributes.get("RESOLUTION", ""))
    codecs = [codec.strip() for codec in attributes.get("CODECS", "").split(",") if codec.strip()]
    return Variant(
        url=url,
        bandwidth=int(_number(attributes.get("BANDWIDTH", "0"))),
        height=int(resolution[1]) if resolution else 0,
        has_video=bool(resolution) or not codecs or any(not codec.startswith(_AUDIO_CODECS) for codec in codecs),
        audio_elsewhere=attributes.get("AUDIO") in elsewhere,
    )


def _lines(text: bytes) -> Iterator[str]:
    """Yield the lines that are not empty. Raises SourceNotMedia: they are too many, or one is too long."""
    decoded = text.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "replace")
    for number, found in enumerate(_LINE.finditer(decoded)):
        if number == _MAX_LINES or found.end() - found.start() > _MAX_LINE:
            raise SourceNotMedia(
                f"the playlist has more than {_MAX_LINES} lines, or one of more than {_MAX_LINE} bytes"
            )
        if line := found[0].strip():
            yield line


def _attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}


def _number(text: str) -> float:
    found = _NUMBER.match(text.strip())
    return float(found[0]) if found else 0.0
