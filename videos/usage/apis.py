from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import owner_of
from access.scopes import Scope
from api.fields import Choice, StrictSerializer
from api.responses import as_document
from api.views import APIView
from videos.usage.documents import EXAMPLE, UsageDocument, usage_document
from videos.usage.selectors import Interval, today, usage_of

MAX_PERIODS = 400
_DAYS_BEFORE = {Interval.DAY: 29, Interval.MONTH: 335}
"""Days from the default start to the end: 30 days, or 12 months."""
_MIN_DAYS = {Interval.DAY: 1, Interval.MONTH: 28}


class UsageQuery(StrictSerializer):
    """Query of a usage document."""

    start = serializers.DateField(
        required=False, help_text="First day of `periods`, by UTC. 29 days before `end` by default, or 11 months."
    )
    end = serializers.DateField(required=False, help_text="Last day of `periods`. Today by default.")
    interval = Choice(
        choices=[each.value for each in Interval], default=Interval.DAY.value, help_text="Length of `periods`."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        interval = Interval(attrs["interval"])
        end: date = attrs.get("end") or today()
        start: date = attrs.get("start") or end - timedelta(days=_DAYS_BEFORE[interval])
        if start > end:
            raise serializers.ValidationError({"start": "must not be after the end"})
        if end > today():
            raise serializers.ValidationError({"end": "must not be in the future"})
        if (end - start).days >= MAX_PERIODS * _MIN_DAYS[interval]:
            raise serializers.ValidationError({"start": f"there may be {MAX_PERIODS} periods"})
        return {"start": start, "end": end, "interval": interval}


class UsageApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_READ}

    @extend_schema(operation_id="usage", parameters=[UsageQuery], responses=UsageDocument, examples=[EXAMPLE])
    def get(self, request: Request) -> Response:
        """Show what your owner stores and has had encoded.

        Days and months are those of UTC.
        """
        query = UsageQuery(data=_query(request.query_params))
        query.is_valid(raise_exception=True)
        owner, requested = owner_of(request), query.validated_data
        usage = usage_of(owner.id, since=min(requested["start"], today()))
        shown = usage_document(owner, usage, usage.periods(**requested))
        return Response(as_document(UsageDocument, shown))


def _query(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if name != "format"}
