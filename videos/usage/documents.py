"""Documents of usage."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from access.limits import limits_of
from access.models import Owner
from videos.usage.kinds import ENCODED, UsageKind, minutes
from videos.usage.quotas import reserved_bytes
from videos.usage.selectors import Amounts, Period, Usage, this_month


class StoredUsage(serializers.Serializer[Any]):
    total_bytes = serializers.IntegerField(help_text="Sum of the following. It is what a quota of bytes limits.")
    source_bytes = serializers.IntegerField()
    working_copy_bytes = serializers.IntegerField(
        help_text="Copies of sources whose container has no index. They are deleted with the source."
    )
    segment_bytes = serializers.IntegerField(help_text="Segments of all renditions, also while they are encoded.")
    asset_bytes = serializers.IntegerField(help_text="Progressive MP4s and audio files.")
    thumbnail_bytes = serializers.IntegerField(help_text="Posters, thumbnails, sprite sheets and previews.")
    text_bytes = serializers.IntegerField(help_text="Subtitles and captions.")
    watermark_bytes = serializers.IntegerField(help_text="Images of watermarks.")
    videos = serializers.IntegerField()


class EncodedMinutes(serializers.Serializer[Any]):
    """Minutes of renditions that were encoded, by class."""

    audio = serializers.FloatField()
    sd = serializers.FloatField(help_text="Shorter side below 720 pixels.")
    hd = serializers.FloatField(help_text="Shorter side of 720 to 1080 pixels.")
    uhd = serializers.FloatField(help_text="Larger ones.")


class UsagePeriod(serializers.Serializer[Any]):
    start = serializers.DateField()
    end = serializers.DateField(help_text="Its last day.")
    videos_added = serializers.IntegerField()
    source_minutes = serializers.FloatField(
        help_text="Minutes of the sources that were added. Deleting them later changes nothing; rejected ones do not"
        " count."
    )
    encoded_minutes = EncodedMinutes(help_text="Of the renditions whose encoding was planned in the period.")
    stored_bytes = serializers.IntegerField(help_text="At its end, or now.")


class UsageLimits(serializers.Serializer[Any]):
    """Limits of the owner. Null: there is none."""

    stored_bytes = serializers.IntegerField(allow_null=True, help_text="Of what is stored, with open uploads.")
    source_minutes_per_month = serializers.IntegerField(allow_null=True)


class UsageDocument(serializers.Serializer[Any]):
    owner = serializers.CharField()
    stored = StoredUsage(help_text="Now. What is deleted does not count from the moment of the request.")
    reserved_bytes = serializers.IntegerField(help_text="Of open uploads and imports. A quota counts them, too.")
    this_month = UsagePeriod()
    periods = UsagePeriod(many=True, help_text="Oldest first.")
    limits = UsageLimits()


def usage_document(owner: Owner, usage: Usage, periods: Sequence[Period]) -> dict[str, Any]:
    """Render the usage of an owner, and its limits."""
    limits = limits_of(owner.id)
    return {
        "owner": owner.name,
        "stored": {"total_bytes": usage.now.stored_bytes, **_stored(usage.now)},
        "reserved_bytes": reserved_bytes(owner.id),
        "this_month": _period(this_month(usage)),
        "periods": [_period(period) for period in periods],
        "limits": {
            "stored_bytes": limits.max_stored_bytes,
            "source_minutes_per_month": limits.max_source_minutes,
        },
    }


def _stored(now: Amounts) -> dict[str, int]:
    return {kind.value: now[kind] for kind in UsageKind if kind.value in StoredUsage().fields}


def _period(period: Period) -> dict[str, Any]:
    return {
        "start": period.start,
        "end": period.end,
        "videos_added": period.came[UsageKind.VIDEOS_ADDED],
        "source_minutes": minutes(period.came[UsageKind.SOURCE_MS]),
        "encoded_minutes": {name: minutes(period.came[kind]) for name, kind in ENCODED.items()},
        "stored_bytes": period.stored_bytes,
    }


_DAY = {
    "start": "2026-01-31",
    "end": "2026-01-31",
    "videos_added": 1,
    "source_minutes": 1.025,
    "encoded_minutes": {"audio": 1.025, "sd": 2.05, "hd": 2.05, "uhd": 0.0},
    "stored_bytes": 153112576,
}
EXAMPLE = OpenApiExample(
    "usage of a day",
    response_only=True,
    value={
        "owner": "default",
        "stored": {
            "total_bytes": 153112576,
            "source_bytes": 104857600,
            "working_copy_bytes": 0,
            "segment_bytes": 47185920,
            "asset_bytes": 0,
            "thumbnail_bytes": 1048576,
            "text_bytes": 20480,
            "watermark_bytes": 0,
            "videos": 1,
        },
        "reserved_bytes": 0,
        "this_month": {**_DAY, "start": "2026-01-01"},
        "periods": [_DAY],
        "limits": {"stored_bytes": 1099511627776, "source_minutes_per_month": None},
    },
)
