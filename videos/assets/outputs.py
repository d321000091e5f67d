"""The outputs of a complete generation, as clients download and compare them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from transcoding.containers.verification import digest_of
from videos.assets.selectors import CompleteGeneration
from videos.models import Asset, Rendition, Text
from videos.playback.dash import has_dash
from videos.playback.playlists import has_hls
from videos.playback.texts import measured_text
from videos.playback.urls import PlaybackUrls
from videos.states import AssetKind, RenditionKind
from videos.texts.selectors import TextFile

_WEBVTT = "wvtt"


class OutputType(StrEnum):
    """Presentations, every kind of asset, and texts."""

    HLS = "hls"
    DASH = "dash"
    MP4 = AssetKind.MP4.value
    M4A = AssetKind.M4A.value
    TEXT = "text"


class ChecksumKind(StrEnum):
    """`sha256` is that of the one object at the URL, `sha256-list` the `digest_of` several."""

    OBJECT = "sha256"
    LIST = "sha256-list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checksum:
    """A SHA-256 in hexadecimal, with the kind of its input."""

    algorithm: ChecksumKind
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One URL to play or download. `rendition`: also the name of a text; None: the whole presentation.

    `size` in bytes; `bitrate` and `peak_bitrate` in bits per second, as measured.
    """

    type: OutputType
    rendition: str | None
    url: str
    size: int
    checksum: Checksum
    codecs: str
    width: int | None = None
    height: int | None = None
    frame_rate: str | None = None
    bitrate: int | None = None
    peak_bitrate: int | None = None
    language: str | None = None


def outputs_of(complete: CompleteGeneration, urls: PlaybackUrls) -> Iterator[Output]:
    """List every output of a complete generation: whole presentations, then renditions, assets and texts."""
    renditions = complete.renditions
    hls = has_hls(complete.generation)
    if hls:
        yield _whole(OutputType.HLS, renditions, urls.hls())
    if has_dash(complete.generation):
        yield _whole(OutputType.DASH, renditions, urls.dash())
    for rendition in renditions if hls else ():
        yield _stream(rendition, urls.playlist(rendition.name))
    for asset in complete.assets:
        yield _asset(asset, renditions, urls.asset(asset))
    if complete.texts:
        plan = complete.generation.encode_plan
        for text in complete.texts:
            yield _text(text, measured_text(text, plan), urls.text(text))


def _whole(type_: OutputType, renditions: Sequence[Rendition], url: str) -> Output:
    return Output(
        type=type_,
        rendition=None,
        url=url,
        size=sum(rendition.size_bytes or 0 for rendition in renditions),
        checksum=Checksum(algorithm=ChecksumKind.LIST, value=digest_of(rendition.sha256 for rendition in renditions)),
        codecs=",".join(dict.fromkeys(rendition.codecs for rendition in renditions)),
    )


def _stream(rendition: Rendition, url: str) -> Output:
    return Output(
        type=OutputType.HLS,
        rendition=rendition.name,
        url=url,
        size=rendition.size_bytes or 0,
        checksum=Checksum(algorithm=ChecksumKind.LIST, value=rendition.sha256),
        codecs=rendition.codecs,
        width=rendition.width,
        height=rendition.height,
        frame_rate=rendition.frame_rate or None,
        bitrate=rendition.avg_bitrate,
        peak_bitrate=rendition.peak_bitrate,
    )


def _asset(asset: Asset, renditions: Sequence[Rendition], url: str) -> Output:
    tracks = [row for row in renditions if row.id == asset.rendition_id or _adds_audio(asset, row)]
    return Output(
        type=OutputType(asset.kind),
        rendition=next((row.name for row in renditions if row.id == asset.rendition_id), None),
        url=url,
        size=asset.size_bytes,
        checksum=Checksum(algorithm=ChecksumKind.OBJECT, value=asset.sha256),
        codecs=",".join(dict.fromkeys(track.codecs for track in tracks)),
        width=asset.width,
        height=asset.height,
        frame_rate=next((track.frame_rate for track in tracks if track.frame_rate), None),
        bitrate=sum(track.avg_bitrate or 0 for track in tracks) or None,
        peak_bitrate=sum(track.peak_bitrate or 0 for track in tracks) or None,
    )


def _text(text: Text, file: TextFile, url: str) -> Output:
    return Output(
        type=OutputType.TEXT,
        rendition=text.name,
        url=url,
        size=file.size,
        checksum=Checksum(algorithm=ChecksumKind.OBJECT, value=file.sha256),
        codecs=_WEBVTT,
        language=text.language,
    )


def _adds_audio(asset: Asset, rendition: Rendition) -> bool:
    """An MP4 holds the audio beside its own rendition."""
    return asset.kind == AssetKind.MP4 and rendition.kind == RenditionKind.AUDIO
