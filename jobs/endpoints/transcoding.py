"""The request to transcode a video, in a request of its own or within that of an upload."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from access.callers import Caller
from access.scopes import Scope
from api.problems import FieldError, Problem
from configuration import RankConfig
from jobs.endpoints.destinations import destination_check
from jobs.endpoints.requests import TranscodeRequest
from jobs.wiring import job_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscodeRequested:
    """A validated transcode request, apart by use."""

    fields: dict[str, Any]
    """The request that is stored with the job."""
    priority: int
    labels: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return it as an upload stores it, until there is a video."""
        return asdict(self)


def transcode_requested(data: object, caller: Caller) -> TranscodeRequested:
    """Validate the body of a transcode request. Raises ValidationError, and Problem (403) for its priority."""
    rank = job_policy().rank
    serializer = TranscodeRequest(data=data, context={"priority_scale": rank.priority_scale})
    serializer.is_valid(raise_exception=True)
    fields = dict(serializer.validated_data)
    fields.pop("dry_run", None)
    priority = fields.pop("priority", rank.default_priority)
    check_ceiling(caller, priority, rank)
    if job_policy().thumbnails and not {"thumbnails", "generate_thumbnails"} & fields.keys():
        fields["thumbnails"] = True
    destination = fields.pop("destination", None)
    destination_check(destination, caller)
    labels = {
        "external_id": fields.pop("external_id", ""),
        "client_metadata": fields.pop("metadata", None),
        "destination": destination and dict(destination),
    }
    return TranscodeRequested(fields=fields, priority=priority, labels=labels)


def check_ceiling(caller: Caller, priority: int, rank: RankConfig) -> None:
    """Raise Problem (403) for a priority above the ceiling, unless the caller may."""
    if priority > rank.priority_ceiling and not caller.may(Scope.JOBS_URGENT):
        detail = f"Priorities above {rank.priority_ceiling} of 100 require the scope `{Scope.JOBS_URGENT}`."
        raise Problem(status=403, code="scope_missing", detail=detail, errors=(FieldError("priority", detail),))


@extend_schema_field(TranscodeRequest)
class TranscodeField(serializers.Field[Any, Any, Any, Any]):
    """A transcode request within another one. The serializer's context has the caller."""

    def to_internal_value(self, data: object) -> TranscodeRequested:
        caller: Caller = self.context["caller"]
        caller.require(Scope.JOBS_WRITE)
        if isinstance(data, Mapping) and data.get("dry_run"):
            raise serializers.ValidationError({"dry_run": ["must be false here"]})
        return transcode_requested(data, caller)

    def to_representation(self, value: TranscodeRequested) -> object:
        return value.to_json()
