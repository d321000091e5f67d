"""A complete generation as the files of a folder that plays by itself, from any web server or bucket."""

from collections.abc import Iterator
from dataclasses import dataclass

from storage.keys import asset_key, thumbnails_prefix
from transcoding.manifests.dash import DASH_CONTENT_TYPE
from transcoding.manifests.hls import HLS_CONTENT_TYPE
from transcoding.manifests.names import (
    IFRAME_PLAYLIST_NAME,
    INIT_NAME,
    PLAYLIST_NAME,
    segment_name,
    text_file,
    text_playlist,
    text_segment_name,
)
from transcoding.planning.images import media_type_of
from transcoding.texts.webvtt import WEBVTT_CONTENT_TYPE
from videos.models import Asset, Generation, Rendition, Text, Thumbnails
from videos.playback import texts
from videos.playback.dash import TILES_FOLDER, generation_dash, has_dash
from videos.playback.playlists import (
    content_type,
    generation_master,
    has_hls,
    has_iframes,
    rendition_iframes,
    rendition_playlist,
)
from videos.playback.presentation import generation_presentation, listed_renditions
from videos.selectors import published_prefix
from videos.texts.selectors import ready_texts
from videos.thumbnails import images_of

MASTER_NAME, MPD_NAME = "master.m3u8", "manifest.mpd"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """One file: an object of the store, or a text."""

    name: str
    """Relative to the folder."""
    content_type: str
    key: str = ""
    sha256: str = ""
    """Of the object, where it is known."""
    size: int | None = None
    """Of the object, in bytes, where it is known."""
    text: str = ""


def generation_files(generation: Generation) -> Iterator[OutputFile]:
    """Yield the files, what names others after these: whoever finds a manifest finds all of it."""
    renditions = list(generation.renditions.order_by("position"))
    for rendition in renditions:
        yield from _media(rendition)
    for asset in Asset.objects.filter(generation=generation).order_by("kind", "name"):
        name, kind = f"{asset.name}.{asset.kind}", asset.media_type
        yield OutputFile(name=name, content_type=kind, key=asset.key, sha256=asset.sha256, size=asset.size_bytes)
    yield from _images(generation)
    yield from _texts(generation)
    if has_hls(generation):
        for rendition in renditions:
            yield _playlist(f"{rendition.name}/{PLAYLIST_NAME}", rendition_playlist(rendition))
            if has_iframes(rendition):
                yield _playlist(f"{rendition.name}/{IFRAME_PLAYLIST_NAME}", rendition_iframes(rendition))
        yield _playlist(MASTER_NAME, generation_master(generation, bundled=True))
    if has_dash(generation):
        text = generation_dash(generation, bundled=True)
        yield OutputFile(name=MPD_NAME, content_type=DASH_CONTENT_TYPE, text=text)


def _media(rendition: Rendition) -> Iterator[OutputFile]:
    kind = content_type(rendition)
    init = f"{rendition.name}/{INIT_NAME}"
    yield OutputFile(name=init, content_type=kind, key=rendition.init_key, sha256=rendition.init_sha256)
    for segment in published_prefix(rendition):
        yield OutputFile(
            name=f"{rendition.name}/{segment_name(segment.number)}",
            content_type=kind,
            key=segment.key,
            sha256=segment.digest,
            size=segment.size,
        )


def _images(generation: Generation) -> Iterator[OutputFile]:
    images = images_of(Thumbnails.objects.filter(video=generation.video_id).first())
    for image in images.images if images else ():
        key = asset_key(thumbnails_prefix(generation.video_id, images.name), image.name)  # type: ignore[union-attr]
        kind = media_type_of(image.name) or "application/octet-stream"
        yield OutputFile(name=f"{TILES_FOLDER}{image.name}", content_type=kind, key=key, size=image.size)


def _texts(generation: Generation) -> Iterator[OutputFile]:
    """Yield the texts that manifests list: whole ones, and their playlists with segments."""
    plan = generation.encode_plan
    rows: dict[str, Text] = {text.name: text for text in ready_texts([generation.video_id])}
    for listed in generation_presentation(generation, listed_renditions(generation, bundled=True)).texts:
        text, playlist = rows[listed.name], text_playlist(listed.name)
        yield _webvtt(text_file(listed.name), texts.text_file(text, plan))
        if not has_hls(generation):
            continue
        folder = playlist.removesuffix(PLAYLIST_NAME)
        for number in range(plan.total_segments):
            yield _webvtt(f"{folder}{text_segment_name(number)}", texts.text_segment(text, plan, number) or "")
        yield _playlist(playlist, texts.text_playlist(generation))


def _webvtt(name: str, text: str) -> OutputFile:
    return OutputFile(name=name, content_type=WEBVTT_CONTENT_TYPE, text=text)


def _playlist(name: str, text: str) -> OutputFile:
    return OutputFile(name=name, content_type=HLS_CONTENT_TYPE, text=text)
