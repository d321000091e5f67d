"""The streams of a source, read from ffprobe's JSON."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Self

from transcoding.errors import InputRejected
from transcoding.hdr import HdrMetadata
from transcoding.probing.choice import audio_in_order, videos_in_order
from transcoding.probing.color import color_space, dolby_vision, hdr_metadata, is_transparent
from transcoding.probing.decoders import DECODERS
from transcoding.probing.geometry import displayed, orientation, pixel_aspect
from transcoding.probing.streams import (
    AudioRole,
    AudioStream,
    FieldOrder,
    Resolution,
    StreamFacts,
    StreamKind,
    VideoStream,
)

_NUMBER = re.compile(r"-?\d{1,20}([./]\d{1,20})?", re.ASCII)
"""The only accepted form of numbers: a hostile file may say 1e999999999, which takes for ever to work out."""
_CLOCK_TIME = re.compile(r"(\d{1,6}):(\d{1,2}):(\d{1,2}(?:\.\d{1,12})?)", re.ASCII)
_FIELD_ORDERS: Mapping[str, FieldOrder] = {
    "progressive": FieldOrder.PROGRESSIVE,
    "tt": FieldOrder.TOP_FIRST,
    "tb": FieldOrder.TOP_FIRST,
    "bb": FieldOrder.BOTTOM_FIRST,
    "bt": FieldOrder.BOTTOM_FIRST,
}
_HALF_TURN = 180
_MAX_SAMPLE_RATE = 384_000
_MAX_CHANNELS = 64
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}", re.ASCII)
"""The accepted language tags (RFC 5646): they go into manifests and commands."""
_LAYOUT = re.compile(r"[a-zA-Z0-9.()+]{1,32}", re.ASCII)
_CODEC = re.compile(r"[a-z0-9_]{1,32}", re.ASCII)
_UNDETERMINED = "und"
_COVERS = ("attached_pic", "timed_thumbnails")
_ACCESSORIES = ("comment", "hearing_impaired", "visual_impaired", "descriptions", "karaoke", "lyrics")
_ROLES: Mapping[str, AudioRole] = {
    "visual_impaired": AudioRole.DESCRIPTION,
    "descriptions": AudioRole.DESCRIPTION,
    "comment": AudioRole.COMMENTARY,
    "hearing_impaired": AudioRole.CLEAR_SPEECH,
    "dub": AudioRole.DUB,
}
"""Roles of audio by ffmpeg's names of what containers mark; of several, the first one counts."""
MAX_AUDIO_TRACKS = 8
"""Audio tracks of which renditions are made; a recorder of studios writes up to 64, one for each microphone."""


MAX_OTHER_VIDEOS = 3
"""Video tracks that a request may name besides the chosen one: each is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaInfo:
    """The streams of a source, and those that are chosen."""

    format_name: str
    file_duration: Fraction | None
    """Length of the file in its header, or as ffprobe estimates it, in seconds."""
    mean_rate: Fraction | None
    """Frames per second by the header of the video, or as ffprobe estimates them."""
    streams: tuple[StreamFacts, ...]
    """All of them, of every kind."""
    video_stream: VideoStream | None
    """The chosen one. None: the source has audio alone."""
    others: tuple[VideoStream, ...] = ()
    """Other video tracks that a request may name."""
    audio: tuple[AudioStream, ...]
    """Those of which renditions are made; players begin with the first."""

    @property
    def video(self) -> VideoStream:
        """The chosen video track. Raises ValueError where there is none."""
        if self.video_stream is None:
            raise ValueError("the source has no video")
        return self.video_stream

    @property
    def duration(self) -> Fraction | None:
        """Length of the video track in the header, in seconds; else of the audio. None: the container does not say."""
        main = self.video_stream or self.audio[0]
        return next((each.duration for each in self.streams if each.index == main.index), None)

    def with_video(self, video: VideoStream) -> Self:
        """Return the same with another video track."""
        return replace(self, video_stream=video, others=())

    def numbered(self, numbers: Sequence[int]) -> Self:
        """Return the same with the numbers that the streams have in the uploaded file, of which this is a copy."""
        video = self.video_stream
        return replace(
            self,
            video_stream=replace(video, source_index=numbers[video.index]) if video else None,
            others=tuple(replace(each, source_index=numbers[each.index]) for each in self.others),
            audio=tuple(replace(each, source_index=numbers[each.index]) for each in self.audio),
        )

    @property
    def in_source(self) -> Self:
        """The same streams of the uploaded file, of which this is a copy."""
        video = self.video_stream

        def original(video: VideoStream) -> VideoStream:
            return replace(video, index=video.index if video.source_index is None else video.source_index)

        tracks = ((track, track.index if track.source_index is None else track.source_index) for track in self.audio)
        return replace(
            self,
            video_stream=original(video) if video else None,
            others=tuple(map(original, self.others)),
            audio=tuple(replace(track, index=index) for track, index in tracks),
        )

    def with_light(self, metadata: HdrMetadata) -> Self:
        """Return the streams with the metadata of the coded stream, which counts before that of the container."""
        known = metadata.or_else(self.video.hdr or HdrMetadata())
        return replace(self, video_stream=replace(self.video, hdr=known))

    def as_copied_from(self, source: Self) -> Self:
        """Return the streams of a working copy, in which the videos and then the audio of a source lie in this order.

        The choice is that of the source, and so are the numbers by which requests name its streams, the codecs, some of
        which the copy does not have, and the way frames are turned, which it may have lost.
        """
        copied = {each.index: each for each in (self.video_stream, *self.others) if each}
        originals = [each for each in (source.video_stream, *source.others) if each]
        if any(number not in copied for number, _ in enumerate(originals)):
            raise InputRejected("the video track cannot be copied")
        videos = [_copied(copied[number], each) for number, each in enumerate(originals)]
        audio = {each.index: each for each in self.audio}
        tracks = (
            replace(audio[number], source_index=each.source_index, language=each.language, role=each.role)
            for number, each in enumerate(source.audio, start=len(videos))
            if number in audio
        )
        return replace(self, video_stream=videos[0] if videos else None, others=tuple(videos[1:]), audio=tuple(tracks))


def _copied(copy: VideoStream, original: VideoStream) -> VideoStream:
    """Return a copied track with what is said of the original, and may be lost in the copy."""
    return replace(
        copy,
        codec=original.codec,
        source_index=original.source_index,
        coded=original.coded,
        crop=original.crop,
        sample_aspect=original.sample_aspect,
        display=original.display,
        rotation=original.rotation,
        mirrored=original.mirrored,
    )


def parse_ffprobe(text: str) -> MediaInfo:
    """Read the output of `streams_command`, and choose the video and the audio (see `transcoding.probing.choice`).

    Raises:
        InputRejected: There is neither a video track nor an audio track that can be decoded.

    """
    document = json.loads(text)
    found = {stream["index"]: stream for stream in document.get("streams", [])}
    streams = {index: _stream(stream) for index, stream in found.items()}
    videos = videos_in_order(streams.values())
    audio = tuple(
        _audio(streams[index], time_base=_fraction(found[index].get("time_base")))
        for index in audio_in_order(streams.values())[:MAX_AUDIO_TRACKS]
    )
    if not videos and not audio:
        raise InputRejected("the file has no video track, and no audio track that can be decoded")
    container = document.get("format", {})
    return MediaInfo(
        format_name=container.get("format_name", ""),
        file_duration=_fraction(container.get("duration")),
        mean_rate=_fraction(found[videos[0]].get("avg_frame_rate")) if videos else None,
        streams=tuple(streams.values()),
        video_stream=_video(found[videos[0]]) if videos else None,
        others=tuple(_video(found[index]) for index in videos[1:] if streams[index].decodable)[:MAX_OTHER_VIDEOS],
        audio=audio,
    )


def _stream(stream: Mapping[str, Any]) -> StreamFacts:
    kind, codec = kind_of(stream.get("codec_type")), _named(_CODEC, stream.get("codec_name"))
    disposition = stream.get("disposition", {})
    channels, sample_rate = int(stream.get("channels", 0)), int(stream.get("sample_rate", 0))
    frames = str(stream.get("nb_frames", ""))
    width, height = int(stream.get("width", 0)), int(stream.get("height", 0))
    return StreamFacts(
        index=stream["index"],
        kind=kind,
        codec=codec or "unknown",
        language=_language(stream),
        default=bool(disposition.get("default")),
        forced=bool(disposition.get("forced")),
        cover=any(disposition.get(name) for name in _COVERS),
        accessory=any(disposition.get(name) for name in _ACCESSORIES),
        size=Resolution(width=width, height=height) if width > 0 and height > 0 else None,
        frames=int(frames) if _NUMBER.fullmatch(frames) and frames.isdigit() else None,
        channels=channels,
        sample_rate=sample_rate,
        layout=_named(_LAYOUT, stream.get("channel_layout")),
        duration=_track_duration(stream),
        decodable=is_decodable(codec, channels=channels, sample_rate=sample_rate),
        used=False,
        role=_role(disposition) if kind is StreamKind.AUDIO else None,
        captions=bool(disposition.get("hearing_impaired")),
    )


def _role(disposition: Mapping[str, Any]) -> AudioRole:
    return next((role for name, role in _ROLES.items() if disposition.get(name)), AudioRole.MAIN)


def kind_of(name: object) -> StreamKind:
    """Return the kind of a stream by ffmpeg's name."""
    try:
        return StreamKind(str(name))
    except ValueError:
        return StreamKind.UNKNOWN


def is_decodable(codec: str, *, channels: int, sample_rate: int) -> bool:
    """Tell whether a decoder may open a stream: of audio, not if resampling would take memory without bounds."""
    return codec in DECODERS and sample_rate <= _MAX_SAMPLE_RATE and channels <= _MAX_CHANNELS


def _named(pattern: re.Pattern[str], text: object) -> str:
    """Return a name that the program gives, or nothing where it has another form than its names have."""
    return str(text) if pattern.fullmatch(str(text)) else ""


def _language(stream: Mapping[str, Any]) -> str:
    language = str(stream.get("tags", {}).get("language", ""))
    return language if _LANGUAGE.fullmatch(language) and language != _UNDETERMINED else ""


def _video(stream: Mapping[str, Any]) -> VideoStream:
    turned = orientation(stream.get("side_data_list", ()))
    aspect = pixel_aspect(stream)
    coded = Resolution(width=int(stream["width"]), height=int(stream["height"]))
    order = str(stream.get("field_order", ""))
    color = color_space(stream)
    return VideoStream(
        index=stream["index"],
        source_index=stream["index"],
        codec=stream.get("codec_name", "unknown"),
        coded=coded,
        sample_aspect=aspect,
        display=displayed(coded, aspect, turned=turned.rotation % _HALF_TURN != 0),
        rotation=turned.rotation,
        mirrored=turned.mirrored,
        pixel_format=stream.get("pix_fmt", "unknown"),
        interlaced=order in _FIELD_ORDERS and _FIELD_ORDERS[order] is not FieldOrder.PROGRESSIVE,
        field_order=_FIELD_ORDERS.get(order, FieldOrder.UNKNOWN),
        color=color,
        hdr=hdr_metadata(stream, color),
        dolby_vision=dolby_vision(stream),
        alpha=is_transparent(stream),
        time_base=Fraction(stream["time_base"]),
        bit_rate=int(stream["bit_rate"]) if stream.get("bit_rate", "").isdigit() else None,
    )


def _track_duration(stream: Mapping[str, Any]) -> Fraction | None:
    """Return the announced length of one track in seconds: a field in MP4, a tag "HH:MM:SS.fraction" in Matroska.

    The tag comes first. Of Matroska, the field may be the length of the whole file.
    """
    tag = _CLOCK_TIME.fullmatch(str(stream.get("tags", {}).get("DURATION", "")))
    if tag is None:
        return _fraction(stream.get("duration"))
    hours, minutes, seconds = map(Fraction, tag.groups())
    return hours * 3600 + minutes * 60 + seconds


def _audio(stream: StreamFacts, *, time_base: Fraction | None) -> AudioStream:
    return AudioStream(
        index=stream.index,
        source_index=stream.index,
        codec=stream.codec,
        channels=stream.channels,
        sample_rate=stream.sample_rate,
        layout=stream.layout,
        language=stream.language,
        role=stream.role or AudioRole.MAIN,
        time_base=time_base,
    )


def _fraction(text: object) -> Fraction | None:
    number = str(text)
    try:
        return Fraction(number) if _NUMBER.fullmatch(number) else None
    except ZeroDivisionError:
        return None
