"""Query parameters of lists of jobs, of plans and of scene changes."""

from rest_framework import serializers
from rest_framework.request import Request

from api.fields import Choice, StrictSerializer
from api.pagination import LabelledQuery
from jobs.reports.previews import StepPage
from jobs.rules.transitions import JobState

_STEPS, _MAX_STEPS, _MAX_OFFSET = 20, 100, 1_000_000


class ScenesQuery(StrictSerializer):
    """The scene changes to show."""

    threshold = serializers.FloatField(
        min_value=0, max_value=1, default=0.4, help_text="Least score. Changes below 0.1 are not recorded."
    )
    min_seconds = serializers.FloatField(
        min_value=0, max_value=3600, default=1, help_text="Shortest scene; shorter ones belong to the one before."
    )
    limit = serializers.IntegerField(
        min_value=1, max_value=1000, default=20, help_text="Number of changes that are shown."
    )
    offset = serializers.IntegerField(
        min_value=0, max_value=_MAX_OFFSET, default=0, help_text="Number of changes that are left out before."
    )


class PlanQuery(StrictSerializer):
    """The part of a plan's steps to show."""

    limit = serializers.IntegerField(
        min_value=1, max_value=_MAX_STEPS, default=_STEPS, help_text="Number of steps of a plan that are shown."
    )
    offset = serializers.IntegerField(
        min_value=0, max_value=_MAX_OFFSET, default=0, help_text="Number of steps of a plan that are left out before."
    )

    @classmethod
    def page(cls, request: Request) -> StepPage:
        """Read the page from the query of a request. Raises ValidationError."""
        query = cls(data={name: value for name, value in request.query_params.items() if name != "format"})
        query.is_valid(raise_exception=True)
        return StepPage(**query.validated_data)


class VideoJobQuery(LabelledQuery):
    """Filters of a list of one video's jobs."""

    state = Choice(
        choices=[state.value for state in JobState], required=False, help_text="Only the jobs in this state."
    )


class JobQuery(VideoJobQuery):
    """Filters of a list of jobs."""

    video_id = serializers.UUIDField(required=False, help_text="Only the jobs of this video.")
