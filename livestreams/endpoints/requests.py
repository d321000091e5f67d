"""Request bodies and queries of live streams."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from api.fields import Choice, ExternalId, Metadata, StrictBoolean, StrictInteger, StrictSerializer
from api.pagination import LabelledQuery, ListQuery
from livestreams.endpoints.destinations import PushRequest, stored_destinations
from livestreams.models import Livestream
from livestreams.states import Latency, LivestreamState, RefusalCode
from livestreams.wiring import livestream_config
from transcoding.encoders import PRESETS
from transcoding.planning.ladder import parse_size
from transcoding.planning.live import MAX_VIDEO_BITRATE, MIN_VIDEO_BITRATE
from transcoding.planning.livestream import ENCODER_CHOICES, MAX_RUNGS, MAX_SIDE, MIN_SIDE, RUNG_NAMES, LadderRequest

MAX_NAME_LENGTH = 200
MAX_PUSH = 5
MIN_PUBLISHED_BITRATE, MIN_PUBLISHED_HEIGHT = 100_000, 144
MIN_DVR_SECONDS, MAX_DVR_SECONDS, DEFAULT_DVR_SECONDS = 20, 4 * 3600, 60
MAX_RECONNECT_SECONDS, DEFAULT_RECONNECT_SECONDS = 600, 30
DEFAULTS: Mapping[str, Any] = {
    "name": "",
    "ladder": None,
    "encoder": "auto",
    "preset": None,
    "latency": Latency.NORMAL.value,
    "record": True,
    "dvr_seconds": DEFAULT_DVR_SECONDS,
    "private": False,
    "reconnect_seconds": DEFAULT_RECONNECT_SECONDS,
    "max_bitrate": None,
    "max_height": None,
    "mp4": False,
    "push": [],
    "external_id": "",
    "metadata": {},
}
"""Values of the fields that a request for a new live stream leaves out."""
PRESET_NAMES = list(PRESETS)
STATES = [state.value for state in LivestreamState]
REFUSALS = [code.value for code in RefusalCode if code != RefusalCode.UNKNOWN_STREAM]
_LADDER = ("ladder", "encoder", "preset")
"""Fields that are one column."""
_COLUMNS = {"metadata": "client_metadata"}
_RUNG = "must be the name of a rung, or an object with width, height and bitrate"


class RungOptions(StrictSerializer):
    """A rendition of a size and a bitrate of its own."""

    width = StrictInteger(min_value=MIN_SIDE, max_value=MAX_SIDE)
    height = StrictInteger(min_value=MIN_SIDE, max_value=MAX_SIDE)
    bitrate = StrictInteger(min_value=MIN_VIDEO_BITRATE, max_value=MAX_VIDEO_BITRATE)


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "enum": list(RUNG_NAMES)},
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["width", "height", "bitrate"],
                "properties": {
                    "width": {"type": "integer", "minimum": MIN_SIDE, "maximum": MAX_SIDE},
                    "height": {"type": "integer", "minimum": MIN_SIDE, "maximum": MAX_SIDE},
                    "bitrate": {"type": "integer", "minimum": MIN_VIDEO_BITRATE, "maximum": MAX_VIDEO_BITRATE},
                },
            },
        ]
    }
)
class RungField(serializers.Field[Any, Any, Any, Any]):
    """The name of a rung, or an object with width, height and bitrate."""

    def to_internal_value(self, data: object) -> object:
        if isinstance(data, str) and data not in RUNG_NAMES:
            raise serializers.ValidationError(f"must be one of: {', '.join(RUNG_NAMES)}; or an object")
        if isinstance(data, str):
            return data
        if not isinstance(data, Mapping):
            raise serializers.ValidationError(_RUNG)
        options = RungOptions(data=data)
        options.is_valid(raise_exception=True)
        return dict(options.validated_data)

    def to_representation(self, value: object) -> object:
        return value


class LivestreamRequest(StrictSerializer):
    """A new live stream. All fields have defaults."""

    name = serializers.CharField(max_length=MAX_NAME_LENGTH, required=False, help_text="For people.")
    ladder = serializers.ListField(
        child=RungField(),
        min_length=1,
        max_length=MAX_RUNGS,
        required=False,
        allow_null=True,
        help_text="Renditions, best first: names (`1080p`, `720p`, `480p`, `360p` …) or objects with width, height and "
        "bitrate. Those that are larger than what is published are left out. Default: null, all rungs that suit what "
        "is published.",
    )
    encoder = Choice(
        choices=list(ENCODER_CHOICES),
        required=False,
        help_text="auto, the default: x264. Live streams are encoded on the CPU: where an encoder of a GPU is named, "
        "the CPU encodes, and `health.fallback` says so.",
    )
    preset = Choice(
        choices=PRESET_NAMES,
        required=False,
        allow_null=True,
        help_text="Speed against quality, by the names of x264. Default: null, the one of the installation.",
    )
    latency = Choice(
        choices=[each.value for each in Latency],
        required=False,
        help_text="low: Low-Latency HLS, and an encoder that does not look ahead. Default: normal.",
    )
    record = StrictBoolean(
        required=False,
        help_text="Each broadcast stays as a video. false: no more of it than `dvr_seconds`, until it ends. Default: "
        "true.",
    )
    dvr_seconds = StrictInteger(
        min_value=MIN_DVR_SECONDS,
        max_value=MAX_DVR_SECONDS,
        required=False,
        help_text=f"How far players may go back while it is live. Default: {DEFAULT_DVR_SECONDS}.",
    )
    private = StrictBoolean(
        required=False,
        help_text="true: playback URLs contain a token that expires. Default: false, they stay the same.",
    )
    reconnect_seconds = StrictInteger(
        min_value=0,
        max_value=MAX_RECONNECT_SECONDS,
        required=False,
        help_text=f"For how long a broadcast waits for a publisher that is gone. Default: {DEFAULT_RECONNECT_SECONDS}.",
    )
    max_bitrate = StrictInteger(
        min_value=MIN_PUBLISHED_BITRATE,
        required=False,
        allow_null=True,
        help_text="Bits per second that may be published, video and audio together. Default: null, the limit of the "
        "installation.",
    )
    max_height = StrictInteger(
        min_value=MIN_PUBLISHED_HEIGHT,
        required=False,
        allow_null=True,
        help_text="Lines that may be published, by the shorter side of the frame. Default: null, the limit of the "
        "installation.",
    )
    mp4 = StrictBoolean(required=False, help_text="Make progressive MP4 files of recordings. Default: false.")
    push = serializers.ListField(
        child=PushRequest(),
        max_length=MAX_PUSH,
        required=False,
        help_text="RTMP servers that broadcasts are sent on to, as they were published.",
    )
    external_id = ExternalId(help_text="Your own name for it.")
    metadata = Metadata()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        _check(attrs, {**DEFAULTS, **self.context.get("before", {}), **attrs})
        return attrs


class LivestreamChange(LivestreamRequest):
    """A change of a live stream: fields that are left out stay as they are.

    A broadcast goes on as it was started. It follows the limits, `push`, `dvr_seconds` and `reconnect_seconds` from now
    on, and everything else is that of the next one.
    """


def fields_of(livestream: Livestream) -> dict[str, Any]:
    """Return the fields of a request that other fields are checked against, as a live stream has them."""
    ladder = LadderRequest.from_json(livestream.ladder).to_json()
    return {
        "ladder": ladder["rungs"],
        "encoder": ladder["encoder"],
        "preset": ladder["preset"],
        "max_height": livestream.max_height,
    }


def columns_of(requested: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the columns of a checked request: all, or those that change of a live stream as it was `before`."""
    fields = dict(requested) if before else {**DEFAULTS, **requested}
    ladder = {name: {**DEFAULTS, **(before or {}), **fields}[name] for name in _LADDER}
    columns = {_COLUMNS.get(name, name): value for name, value in fields.items() if name not in _LADDER}
    if "push" in columns:
        columns["push"] = stored_destinations(columns["push"])
    if any(name in fields for name in _LADDER):
        columns["ladder"] = _ladder_request(ladder).to_json()
    return columns


def _ladder_request(fields: Mapping[str, Any]) -> LadderRequest:
    """Raises RequestUnfit for what cannot be made."""
    return LadderRequest.from_json(
        {"rungs": fields["ladder"], "encoder": fields["encoder"], "preset": fields["preset"]}
    )


def _check(changed: Mapping[str, Any], whole: Mapping[str, Any]) -> None:
    """Check what depends on several fields, or on the installation; errors name a field that the request has.

    Raises ValidationError, and RequestUnfit for a ladder that cannot be made.
    """
    config = livestream_config()
    for field, limit in (("max_bitrate", config.live_max_bitrate), ("max_height", config.live_max_height)):
        if (changed.get(field) or 0) > limit:
            raise serializers.ValidationError({field: [f"must be at most {limit}, the limit of the installation"]})
    if not {"ladder", "encoder", "preset", "max_height"} & changed.keys():
        return
    request = _ladder_request(whole)
    lines = whole["max_height"] or config.live_max_height
    taller = [index for index, rung in enumerate(request.rungs) if _lines(rung.size) > lines]
    if taller:
        field = f"ladder.{taller[0]}" if "ladder" in changed else "max_height"
        raise serializers.ValidationError({field: [f"a rung is larger than the {lines} lines that may be published"]})


def _lines(size: str) -> int:
    parsed = parse_size(size)
    return parsed if isinstance(parsed, int) else parsed.short_side


class LivestreamQuery(LabelledQuery):
    """Filters of a list of live streams."""

    state = Choice(choices=STATES, required=False, help_text="Only those in this state.")


class RecordingQuery(ListQuery):
    """Query of the recordings of a live stream."""


class RefusalQuery(ListQuery):
    """Query of the refused publishers of a live stream."""

    code = Choice(choices=REFUSALS, required=False, help_text="Only those refused for this reason.")
