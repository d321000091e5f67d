"""A publisher's tags as a file without surprises, for an encoder to read from a pipe."""

from __future__ import annotations

from transcoding.flv.aac import STEREO, STEREO_RECORD, AacConfig, read_aac_config, silent_frame
from transcoding.flv.clock import Clock
from transcoding.flv.tags import FLV_HEADER, FlvTag, TagKind, flv_bytes

LATE_MS = 1000
"""Time that audio may be behind video before it is taken for missing."""
GAP_MS = 100
"""Gaps in audio that encoders even out themselves."""
MAX_COMPOSITION_MS = 5000
MAX_HEADER_BYTES = 64 * 1024
_AAC_HEADER, _AAC_FRAME = b"\xaf\x00", b"\xaf\x01"
_WITH_HEADERS = frozenset({"h264", "hevc", "av1"})
"""Codecs of video that cannot be decoded without their parameters."""


class Feed:
    """Tags from the first key frame on, which is at 0, on a clock of our own.

    There is always audio: where the publisher's is missing or late, frames of silence stand in. Metadata are left out,
    since decoders would believe them.
    """

    def __init__(self) -> None:
        self.time_ms = 0
        """Decode time of the tag that was pushed last and not left out."""
        self.presentation_ms = 0
        """Presentation time of it."""
        self.audio_changed = False
        """The tag that was pushed last begins audio with other parameters than those of the preamble before."""
        self._video: FlvTag | None = None
        self._audio: FlvTag | None = None
        self._clock: Clock | None = None
        self._config: AacConfig | None = None
        self._silence: bytes | None = None
        self._codec = ""
        self._next_ms = 0.0
        """End of the audio so far."""
        self._silent = False
        """Silence stands in at once."""

    @property
    def jumps(self) -> int:
        """Jumps of the publisher's clock so far, those of reconnections included."""
        return self._clock.jumps if self._clock else 0

    def preamble(self) -> bytes:
        """Return what a run begins with: the file header and the newest parameters of video and audio."""
        headers = (header for header in (self._video, self._audio) if header)
        return FLV_HEADER + b"".join(flv_bytes(FlvTag(header.kind, 0, header.data)) for header in headers)

    def learn(self, tag: FlvTag) -> None:
        """Take parameters that will be pushed later, so that the first preamble has them."""
        if tag.is_sequence_header and self._clock is None:
            self._header(tag)

    def push(self, tag: FlvTag, arrived: float = 0.0) -> bytes:  # noqa: ARG002 - for feeds that follow the wall clock
        """Return the bytes that a tag adds: none before the first key frame."""
        self.audio_changed = False
        if tag.is_sequence_header:
            return self._header(tag)
        if not tag.is_frame or (self._clock is None and not self._begin(tag)):
            return b""
        return self._video_frame(tag) if tag.is_video else self._audio_frame(tag)

    def _begin(self, tag: FlvTag) -> bool:
        if not tag.is_keyframe or (tag.codec in _WITH_HEADERS and self._video is None):
            return False
        self._clock = Clock(tag)
        if self._audio is None:
            self._audio = FlvTag(TagKind.AUDIO, 0, _AAC_HEADER + STEREO_RECORD)
            self._adopt("aac", STEREO)
            self._silent = True
        return True

    def _header(self, tag: FlvTag) -> bytes:
        if len(tag.data) > MAX_HEADER_BYTES:
            return b""
        known = self._video if tag.is_video else self._audio
        if known is not None and known.data == tag.data:
            return b""
        if tag.is_video:
            self._video = tag
        else:
            config = read_aac_config(tag.payload) if tag.codec == "aac" else None
            if self._audio is not None and tag.codec == self._codec and config == self._config is not None:
                return b""  # the same, written in another way
            self.audio_changed = self._clock is not None
            self._audio = tag
            self._adopt(tag.codec, config)
        return flv_bytes(FlvTag(tag.kind, self.time_ms, tag.data)) if self._clock else b""

    def _adopt(self, codec: str, config: AacConfig | None) -> None:
        if self._silence is None:
            self._next_ms = max(self._next_ms, self.time_ms)
        self._codec, self._config = codec, config
        self._silence = silent_frame(config) if config else None

    def _video_frame(self, tag: FlvTag) -> bytes:
        offset = tag.composition_ms
        if not -MAX_COMPOSITION_MS <= offset <= MAX_COMPOSITION_MS:
            tag, offset = tag.without_composition(), 0
        self._at(self._time(tag), offset)
        return flv_bytes(FlvTag(tag.kind, self.time_ms, tag.data)) + self._filled(self.time_ms)

    def _audio_frame(self, tag: FlvTag) -> bytes:
        if tag.codec != self._codec:
            if tag.codec in ("", "aac"):  # its parameters have not come
                return b""
            self.audio_changed, self._audio = True, None
            self._adopt(tag.codec, None)
        time = self._time(tag)
        self._silent = False
        frame_ms = self._config.frame_ms if self._config else 0.0
        if time < 0 or time < self._next_ms - frame_ms / 2:
            return b""  # silence stood in for it
        gap = self._silent_until(time - frame_ms) if time - self._next_ms > GAP_MS else b""
        self._next_ms = time + frame_ms
        self._at(time, 0)
        return gap + flv_bytes(FlvTag(tag.kind, time, tag.data))

    def _time(self, tag: FlvTag) -> int:
        return self._clock.time_of(tag) if self._clock else 0

    def _at(self, time: int, offset: int) -> None:
        self.time_ms, self.presentation_ms = time, time + offset

    def _filled(self, head: int) -> bytes:
        """Return silence up to the video where audio is missing."""
        if not self._silent and self._next_ms > head - LATE_MS:
            return b""
        self._silent = True
        return self._silent_until(head)

    def _silent_until(self, end: float) -> bytes:
        if self._silence is None or self._config is None:
            return b""
        frames = []
        while self._next_ms <= end:
            frames.append(flv_bytes(FlvTag(TagKind.AUDIO, round(self._next_ms), _AAC_FRAME + self._silence)))
            self._next_ms += self._config.frame_ms
        return b"".join(frames)
