"""Documents of live streams, their broadcasts and refused publishers."""

from typing import Any

from rest_framework import serializers

from livestreams.endpoints.requests import REFUSALS, STATES, LivestreamRequest
from livestreams.states import BroadcastState, Latency

BROADCAST_STATES = [state.value for state in BroadcastState]
PUSH_STATES = ["waiting", "connecting", "sending", "failed"]


class LivestreamError(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="For programs; never changes.")
    detail = serializers.CharField(help_text="For people.")


class LivestreamFallback(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Why, such as `gpu_lost`.")
    detail = serializers.CharField(help_text="For people.")


class LivestreamIngest(serializers.Serializer[Any]):
    """Server and stream key of publishers."""

    rtmp_url = serializers.CharField(help_text="The server, as OBS calls it.")
    rtmps_url = serializers.CharField(allow_null=True, help_text="The same by TLS. Null: there is none.")
    stream_key = serializers.CharField(
        allow_null=True,
        help_text="The stream key, only where it is new: when the live stream is created, and when its key is rotated.",
    )
    key_hint = serializers.CharField(help_text="How the stream key ends.")


class LivestreamPlayback(serializers.Serializer[Any]):
    """URLs of players. They show the broadcast that runs, or else the newest one."""

    hls_url = serializers.CharField()
    dash_url = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Null: the URLs stay the same.")


class LivestreamPush(serializers.Serializer[Any]):
    """An RTMP server that broadcasts are sent on to."""

    id = serializers.CharField()
    name = serializers.CharField()
    url = serializers.CharField(help_text="Scheme and host. The stream key is shown nowhere.")
    state = serializers.ChoiceField(
        PUSH_STATES, allow_null=True, help_text="Null: nothing is broadcast. `waiting`: for the publisher."
    )
    error = serializers.CharField(allow_null=True, help_text="What went wrong at the last attempt.")
    dropped_frames = serializers.IntegerField(allow_null=True, help_text="Not sent, since the server took too long.")


class BroadcastHealth(serializers.Serializer[Any]):
    """Measurements of what arrives from the publisher, every two seconds."""

    measured_at = serializers.DateTimeField()
    bitrate = serializers.IntegerField(allow_null=True, help_text="Bits per second, video and audio together.")
    frame_rate = serializers.FloatField(allow_null=True, help_text="Frames per second.")
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    video_codec = serializers.CharField(allow_null=True)
    audio_codec = serializers.CharField(allow_null=True, help_text="Null: no audio; the outputs have silence.")
    keyframe_seconds = serializers.FloatField(allow_null=True, help_text="Between the last two key frames.")
    dropped_frames = serializers.IntegerField(allow_null=True, help_text="Missing in what arrived.")
    drift_ms = serializers.IntegerField(allow_null=True, help_text="Audio behind video; negative: ahead.")
    silent_seconds = serializers.FloatField(allow_null=True, help_text="Since the last byte.")
    segment_seconds = serializers.FloatField(allow_null=True, help_text="Since the last segment was published.")
    behind_seconds = serializers.FloatField(allow_null=True, help_text="Time that what arrived waits to be encoded.")
    encoder_too_slow = serializers.BooleanField(
        allow_null=True, help_text="Frames were left out of late, since the encoder cannot keep up."
    )
    restarts = serializers.IntegerField(allow_null=True, help_text="Jumps of the publisher's clock.")
    reconnects = serializers.IntegerField(allow_null=True, help_text="Returns of the publisher.")
    encoder = serializers.CharField(allow_null=True, help_text="ffmpeg's name of the encoder.")
    renditions = serializers.ListField(
        child=serializers.CharField(), help_text="Those that are made now: fewer after a fallback."
    )
    fallback = LivestreamFallback(allow_null=True, help_text="Why it is not made as requested. Null: it is.")


class BroadcastViewers(serializers.Serializer[Any]):
    """Players of the last seconds, counted without cookies from the playlists that they request."""

    total = serializers.IntegerField()
    renditions = serializers.DictField(child=serializers.IntegerField(), help_text="By the name of the rendition.")


class BroadcastLinks(serializers.Serializer[Any]):
    video = serializers.CharField()
    job = serializers.CharField(allow_null=True)
    playback = serializers.CharField(help_text="Playback URLs of the recording.")


class BroadcastDocument(serializers.Serializer[Any]):
    """A broadcast: what one publisher sent, reconnects included. Its video is the recording."""

    id = serializers.UUIDField()
    number = serializers.IntegerField(help_text="Counts from 1.")
    state = serializers.ChoiceField(
        BROADCAST_STATES, help_text="ending: the source has ended, and the recording is verified."
    )
    video_id = serializers.UUIDField(help_text="The recording, playable from `live_at` on.")
    job_id = serializers.UUIDField(allow_null=True, help_text="Null: it was deleted.")
    recorded = serializers.BooleanField(help_text="false: what left the window was deleted.")
    publisher_address = serializers.CharField()
    publisher_connected = serializers.BooleanField(
        help_text="false while the broadcast waits for its publisher, and afterwards."
    )
    stop_requested = serializers.BooleanField()
    started_at = serializers.DateTimeField(help_text="When the publisher was let in.")
    live_at = serializers.DateTimeField(allow_null=True, help_text="When players could begin.")
    ended_at = serializers.DateTimeField(allow_null=True, help_text="When the source ended.")
    health = BroadcastHealth(allow_null=True)
    viewers = BroadcastViewers(allow_null=True)
    error = LivestreamError(allow_null=True)
    links = BroadcastLinks()


class LivestreamLinks(serializers.Serializer[Any]):
    self = serializers.CharField()
    rotate_key = serializers.CharField()
    stop = serializers.CharField()
    recordings = serializers.CharField()
    refusals = serializers.CharField()


class LivestreamDocument(serializers.Serializer[Any]):
    """A live stream: a key to publish with, and URLs to watch at. It is used again for each broadcast."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    state = serializers.ChoiceField(
        STATES, help_text="idle: nothing was broadcast yet. Afterwards that of the newest broadcast."
    )
    playback_id = serializers.CharField(help_text="Its part of the playback URLs.")
    ingest = LivestreamIngest()
    playback = LivestreamPlayback()
    broadcast = BroadcastDocument(allow_null=True, help_text="The newest one.")
    ladder = LivestreamRequest().fields["ladder"]
    encoder = serializers.CharField()
    preset = serializers.CharField(allow_null=True)
    latency = serializers.ChoiceField([each.value for each in Latency])
    record = serializers.BooleanField()
    dvr_seconds = serializers.IntegerField()
    private = serializers.BooleanField()
    reconnect_seconds = serializers.IntegerField()
    max_bitrate = serializers.IntegerField(allow_null=True)
    max_height = serializers.IntegerField(allow_null=True)
    mp4 = serializers.BooleanField()
    push = LivestreamPush(many=True)
    external_id = serializers.CharField()
    metadata = serializers.DictField()
    error = LivestreamError(allow_null=True, help_text="Why the newest broadcast failed.")
    created_at = serializers.DateTimeField()
    links = LivestreamLinks()


class RefusalDocument(serializers.Serializer[Any]):
    """Publishers that were not let in, or were dropped, for one reason. RTMP itself gives them none."""

    code = serializers.ChoiceField(REFUSALS)
    detail = serializers.CharField()
    publisher_address = serializers.CharField()
    count = serializers.IntegerField(help_text="Attempts like this from there, one after the other.")
    created_at = serializers.DateTimeField(help_text="The first of them.")
    last_at = serializers.DateTimeField()
