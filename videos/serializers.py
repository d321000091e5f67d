"""Response bodies of videos, as serializers that only render, from which the OpenAPI document is generated."""

from typing import Any

from rest_framework import serializers

from transcoding.probing.streams import AudioRole, StreamKind
from transcoding.probing.warnings import SourceWarning
from videos.states import SHOWN_STATES, GenerationState, RenditionKind, TextOrigin, TextState, ThumbnailState

UNAVAILABLE = "unavailable"
TEXT_STATES = [state.value for state in TextState]
THUMBNAIL_STATES = [state.value for state in ThumbnailState]
PLAYBACK_STATES = [UNAVAILABLE, GenerationState.BUILDING.value, GenerationState.COMPLETE.value]


class VideoError(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField(help_text="What is wrong, and what to do about it.")
    details = serializers.CharField(allow_null=True, help_text="The words of the program that failed.")
    retryable = serializers.BooleanField()


class VideoLinks(serializers.Serializer[Any]):
    self = serializers.CharField()
    playback = serializers.CharField()
    transcode = serializers.CharField()
    jobs = serializers.CharField()
    outputs = serializers.CharField()
    texts = serializers.CharField()


class SourceWarningDocument(serializers.Serializer[Any]):
    code = serializers.ChoiceField([code.value for code in SourceWarning])
    detail = serializers.CharField(help_text="A sentence or two for people.")
    seconds = serializers.FloatField(allow_null=True, help_text="Its extent, where it has one.")
    count = serializers.IntegerField(allow_null=True, help_text="The number of what is counted, such as streams.")


class StreamDocument(serializers.Serializer[Any]):
    index = serializers.IntegerField(help_text="The number by which requests name it.")
    kind = serializers.ChoiceField([kind.value for kind in StreamKind])
    codec = serializers.CharField()
    language = serializers.CharField(allow_null=True, help_text="As in the file, mostly ISO 639-2.")
    role = serializers.ChoiceField(
        [role.value for role in AudioRole], allow_null=True, help_text="The purpose of an audio track, as it is marked."
    )
    default = serializers.BooleanField(help_text="The file marks it as the default.")
    forced = serializers.BooleanField()
    cover = serializers.BooleanField(help_text="An image that stands for the file.")
    width = serializers.IntegerField(allow_null=True, help_text="Of the decoded frames.")
    height = serializers.IntegerField(allow_null=True)
    channels = serializers.IntegerField(allow_null=True)
    layout = serializers.CharField(allow_null=True, help_text="The channels by ffmpeg's names, such as 5.1(side).")
    sample_rate = serializers.IntegerField(allow_null=True, help_text="Hertz.")
    duration = serializers.FloatField(allow_null=True, help_text="Seconds, as the file announces them.")
    used = serializers.BooleanField(help_text="It is in the outputs, unless a request names others.")


class ImageDocument(serializers.Serializer[Any]):
    url = serializers.URLField()
    time = serializers.FloatField(help_text="Its moment in the video, in seconds.")
    width = serializers.IntegerField()
    height = serializers.IntegerField()


class SpritesDocument(serializers.Serializer[Any]):
    vtt_url = serializers.URLField(help_text="WebVTT: the part of a sheet that shows each moment.")
    urls = serializers.ListField(child=serializers.URLField(), help_text="The sheets, in order.")
    width = serializers.IntegerField(help_text="Of one image.")
    height = serializers.IntegerField()
    columns = serializers.IntegerField(help_text="Images in a row of a sheet.")
    rows = serializers.IntegerField()
    count = serializers.IntegerField(help_text="Images in all sheets.")
    interval = serializers.FloatField(help_text="Seconds from one image to the next.")


class PreviewDocument(serializers.Serializer[Any]):
    webp_url = serializers.URLField(allow_null=True, help_text="Null where the workers' ffmpeg cannot encode WebP.")
    gif_url = serializers.URLField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    start = serializers.FloatField(help_text="Its first moment in the video, in seconds.")
    duration = serializers.FloatField(help_text="Seconds.")


class AssetError(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()


class ThumbnailsDocument(serializers.Serializer[Any]):
    state = serializers.ChoiceField(
        THUMBNAIL_STATES,
        help_text="pending: they are being made. failed: `error` says why. unavailable: the video is audio alone."
        " Images that were made before stay meanwhile.",
    )
    poster_url = serializers.URLField(
        allow_null=True, help_text="The poster of the moment; it may be another one ten minutes later."
    )
    poster = ImageDocument(allow_null=True)
    images = ImageDocument(many=True, help_text="The thumbnails.")
    sprites = SpritesDocument(allow_null=True)
    preview = PreviewDocument(allow_null=True)
    error = AssetError(allow_null=True)
    requested_at = serializers.DateTimeField()
    ready_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text="Until when the URLs work. They are the same for ten minutes."
    )


class SceneDocument(serializers.Serializer[Any]):
    time = serializers.FloatField(help_text="The first frame of the scene, in seconds.")
    score = serializers.FloatField(help_text="How much it differs from the frame before: 0 to 1.")


class ScenesDocument(serializers.Serializer[Any]):
    video_id = serializers.UUIDField()
    state = serializers.ChoiceField(THUMBNAIL_STATES, help_text="That of the thumbnails: both are made in one pass.")
    duration = serializers.FloatField(allow_null=True, help_text="Of the video, in seconds.")
    precision = serializers.FloatField(
        allow_null=True, help_text="Seconds between the frames that were compared: in long videos, not each one is."
    )
    total = serializers.IntegerField(help_text="Scene changes that the query finds.")
    results = SceneDocument(many=True)


class PartDocument(serializers.Serializer[Any]):
    video_id = serializers.UUIDField(help_text="The video that it is. It may have been deleted since.")
    start = serializers.FloatField(help_text="Its first frame in the joined video, in seconds.")
    duration = serializers.FloatField(help_text="Seconds until the next part begins.")
    copied = serializers.BooleanField(help_text="Its video is copied as it is; otherwise it is encoded again.")
    differs = serializers.ListField(
        child=serializers.CharField(), help_text="The properties for which its video is encoded again."
    )


class VideoText(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField(help_text="Its part of playback URLs.")
    language = serializers.CharField(help_text="A tag by BCP 47; und: the file does not say.")
    label = serializers.CharField(help_text="Its name in players.")  # type: ignore[assignment]  # not the serializer's
    default = serializers.BooleanField(help_text="Players begin with it.")
    forced = serializers.BooleanField(help_text="Only what everybody must read: shown also without being chosen.")
    sdh = serializers.BooleanField(help_text="For people who do not hear: it describes noises and music, too.")
    origin = serializers.ChoiceField(
        [origin.value for origin in TextOrigin], help_text="A file of its own, or a stream of the video's."
    )
    stream = serializers.IntegerField(allow_null=True, help_text="Index of the stream of an embedded one.")
    state = serializers.ChoiceField(
        TEXT_STATES,
        help_text="pending: it is being extracted. failed: `error` says why; a retry extracts it again.",
    )
    error = AssetError(allow_null=True)


class ImportedFrom(serializers.Serializer[Any]):
    """The URL that the source of a video was fetched from, and how much of it is there."""

    url = serializers.CharField(help_text="Without its query, which may grant access.")
    size = serializers.IntegerField(allow_null=True, help_text="Bytes, as the server announced. Null: it did not.")
    received = serializers.IntegerField(help_text="Bytes that have been fetched.")


class VideoDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    filename = serializers.CharField()
    status = serializers.ChoiceField(SHOWN_STATES)
    size = serializers.IntegerField(help_text="Bytes.")
    sha256 = serializers.CharField()
    container = serializers.CharField(help_text="What the first bytes of the file say it is.")
    parts = PartDocument(many=True, help_text="The videos that it joins, in order. Empty: it was uploaded.")
    imported_from = ImportedFrom(allow_null=True, help_text="Null: it was not imported.")
    original_url = serializers.URLField(
        allow_null=True,
        help_text="Where the uploaded file can be had. Null: it was deleted, or is not there yet.",
    )
    duration = serializers.FloatField(
        allow_null=True,
        help_text="Seconds; this and what follows, up to the frame rate: at first what the file's headers say, where"
        " looking takes less than a second, and from inspection on what was measured.",
    )
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    codec = serializers.CharField(allow_null=True)
    bitrate = serializers.IntegerField(allow_null=True, help_text="Bits per second.")
    frame_rate = serializers.FloatField(allow_null=True)
    external_id = serializers.CharField(allow_null=True, help_text="Your own name for it, as it was uploaded with.")
    metadata = serializers.DictField(help_text="What it was uploaded with, and what else inspection found.")
    streams = StreamDocument(
        many=True, help_text="All streams of the file, after inspection. Empty: an earlier version inspected it."
    )
    warnings = SourceWarningDocument(
        many=True, help_text="What is unusual about the source, and what is done about it by default."
    )
    thumbnails = ThumbnailsDocument(allow_null=True, help_text="Null: none were requested.")
    texts = VideoText(many=True, help_text="Subtitles and captions, with their states; `links.texts` has their URLs.")
    error = VideoError(allow_null=True)
    created_at = serializers.DateTimeField()
    inspected_at = serializers.DateTimeField(allow_null=True)
    source_expires_at = serializers.DateTimeField(allow_null=True, help_text="When the source is deleted. Null: never.")
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text="When the outputs that players get are deleted. Null: never, or there are none."
    )
    links = VideoLinks()


class PlaybackRendition(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.ChoiceField([kind.value for kind in RenditionKind])
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    bitrate = serializers.IntegerField(help_text="Bits per second.")
    frame_rate = serializers.CharField()
    codecs = serializers.CharField()


class PlaybackText(serializers.Serializer[Any]):
    name = serializers.CharField()
    language = serializers.CharField(help_text="A tag by BCP 47.")
    label = serializers.CharField()  # type: ignore[assignment]  # REST framework's own `label` is of the serializer
    default = serializers.BooleanField()
    forced = serializers.BooleanField()
    sdh = serializers.BooleanField()
    url = serializers.URLField(help_text="The whole text as WebVTT.")


class PlaybackDocument(serializers.Serializer[Any]):
    video_id = serializers.UUIDField()
    state = serializers.ChoiceField(
        PLAYBACK_STATES,
        help_text="unavailable: nothing can be played yet. building: the beginning can be played while the rest is"
        " encoded. complete: all of it can be played.",
    )
    generation = serializers.IntegerField(allow_null=True)
    hls_url = serializers.URLField(allow_null=True)
    dash_url = serializers.URLField(allow_null=True, help_text="Null also while the end of the video is not known.")
    expires_at = serializers.DateTimeField(help_text="Until when the addresses work.")
    watch_url = serializers.URLField(
        help_text="A page on which everybody who has this URL watches the video, also before anything can be played."
    )
    embed_html = serializers.CharField(help_text="HTML by which another page shows the player in a frame.")
    thumbnails = ThumbnailsDocument(allow_null=True, help_text="As in the document of the video.")
    renditions = PlaybackRendition(many=True)
    texts = PlaybackText(many=True, help_text="Subtitles and captions.")


class RevocationDocument(serializers.Serializer[Any]):
    video_id = serializers.UUIDField()
    revoked_at = serializers.DateTimeField(help_text="No playback URL that was made before this time works.")
