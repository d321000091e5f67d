from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import caller, owner_of
from access.idempotency import idempotent
from access.models import Owner
from access.rates import check_plan_rate
from access.scopes import Scope
from api.pagination import ListQuery
from api.problems import not_found
from api.responses import as_document, cached_response, variant_for
from api.schema import IDEMPOTENCY_KEY, PAGE_PARAMETERS, page_of
from api.views import APIView
from jobs.changes.cache_invalidation import LIST_CACHE_TTL_SECONDS, job_cache_ttl_seconds
from jobs.endpoints import examples
from jobs.endpoints.queries import JobQuery, PlanQuery, VideoJobQuery
from jobs.endpoints.requests import ReprioritizeRequest, TranscodeRequest
from jobs.endpoints.retention import RETENTION_EXAMPLE, RetentionRequest
from jobs.endpoints.serializers import JobDocument, OutputsDocument, PlanDocument, outputs_document
from jobs.endpoints.transcoding import check_ceiling, transcode_requested
from jobs.lifecycle.deletion import job_delete, job_outputs_delete, job_rendition_delete, source_delete
from jobs.lifecycle.delivering import delivery_repeat
from jobs.lifecycle.retention import video_keep_until
from jobs.lifecycle.services import (
    job_cancel,
    job_create,
    job_pause,
    job_reprioritize,
    job_resume,
    job_retry,
    video_delete,
)
from jobs.models import Job
from jobs.reports.previews import StepPage, job_plan_document, job_preview
from jobs.reports.selectors import job_views, jobs_of
from jobs.rules.transitions import JobState
from jobs.wiring import job_policy
from videos.apis import VideoDetailApi, VideoOriginalApi, video_of
from videos.assets.selectors import complete_generations
from videos.documents import video_document
from videos.serializers import VideoDocument


class VideoTranscodeApi(APIView):
    scopes: ClassVar = {"POST": Scope.JOBS_WRITE}

    @extend_schema(
        operation_id="video_transcode",
        parameters=[IDEMPOTENCY_KEY, PlanQuery],
        request=TranscodeRequest,
        responses={
            200: OpenApiResponse(PlanDocument, description="A dry run: what would be done. Nothing was queued."),
            202: OpenApiResponse(JobDocument, description="The job, whose address is in `Location`."),
        },
        examples=examples.TRANSCODE,
    )
    def post(self, request: Request, video_id: UUID) -> HttpResponseBase:
        """Transcode a video.

        Without a resolution or bitrate the job encodes the whole ladder.

        A dry run responds with the plan instead, with the steps that `limit` and `offset` name. It needs a video that
        has been inspected and, where a GPU is required, one that can encode it now: 409 otherwise. A job that is not a
        dry run waits for both. Dry runs have no effect that an Idempotency-Key could keep from being repeated.
        """
        page = PlanQuery.page(request)
        is_dry_run = isinstance(request.data, Mapping) and request.data.get("dry_run") is True
        return self._preview(request, video_id, page) if is_dry_run else self._create(request, video_id)

    def _preview(self, request: Request, video_id: UUID, page: StepPage) -> Response:
        """Respond to a dry run, outside of the transaction that `idempotent` holds."""
        requested = transcode_requested(request.data, caller(request))
        check_plan_rate(caller(request))
        owner, policy = owner_of(request), job_policy()
        preview = job_preview(owner=owner, video_id=video_id, request=requested.fields, policy=policy, page=page)
        return Response(as_document(PlanDocument, preview))

    @idempotent()
    def _create(self, request: Request, video_id: UUID) -> Response:
        requested = transcode_requested(request.data, caller(request))
        owner = owner_of(request)
        job = job_create(
            owner=owner,
            video_id=video_id,
            request=requested.fields,
            priority=requested.priority,
            policy=job_policy(),
            **requested.labels,
        )
        answer = _shown(owner, job.id, status=202)
        answer.headers["Location"] = reverse("job-detail", args=[job.id])
        return answer


class JobListApi(APIView):
    scopes: ClassVar = {"GET": Scope.JOBS_READ}

    @extend_schema(operation_id="job_list", parameters=[JobQuery, *PAGE_PARAMETERS], responses=page_of(JobDocument))
    def get(self, request: Request) -> HttpResponse:
        """List jobs, newest first."""
        owner = owner_of(request)

        def render() -> tuple[Any, float]:
            pages, page = JobQuery.page(jobs_of(owner), request)
            return pages.get_paginated_response(_documents(page)).data, LIST_CACHE_TTL_SECONDS

        return cached_response("jobs", owner.pk, variant=variant_for(request, owner.pk, with_query=True), render=render)


class VideoJobsApi(APIView):
    scopes: ClassVar = {"GET": Scope.JOBS_READ}

    @extend_schema(
        operation_id="video_jobs", parameters=[VideoJobQuery, *PAGE_PARAMETERS], responses=page_of(JobDocument)
    )
    def get(self, request: Request, video_id: UUID) -> Response:
        """List the jobs of a video, newest first."""
        video = video_of(owner_of(request), video_id)
        pages, page = VideoJobQuery.page(jobs_of(owner_of(request)).filter(video=video), request)
        return pages.get_paginated_response(_documents(page))


class VideoOutputsApi(APIView):
    scopes: ClassVar = {"GET": Scope.JOBS_READ}

    @extend_schema(
        operation_id="video_outputs", parameters=[ListQuery, *PAGE_PARAMETERS], responses=page_of(OutputsDocument)
    )
    def get(self, request: Request, video_id: UUID) -> Response:
        """List the outputs of a video's completed jobs, newest job first."""
        video = video_of(owner_of(request), video_id)
        completed = jobs_of(owner_of(request)).filter(video=video, state=JobState.COMPLETED)
        pages, page = ListQuery.page(completed, request)
        complete = complete_generations(job.generation_id for job in page)
        return pages.get_paginated_response(
            [outputs_document(job, complete.get(job.generation_id), request) for job in page]
        )


class JobDetailApi(APIView):
    scopes: ClassVar = {"GET": Scope.JOBS_READ, "DELETE": Scope.JOBS_WRITE}

    @extend_schema(operation_id="job_detail", responses=JobDocument, examples=[examples.JOB])
    def get(self, request: Request, job_id: UUID) -> HttpResponse:
        """Show a job and its progress."""
        owner = owner_of(request)

        def render() -> tuple[Any, float]:
            job = _job(owner, job_id)
            return _document(job), job_cache_ttl_seconds(job)

        return cached_response("job", job_id, variant=str(owner.pk), render=render)

    @extend_schema(operation_id="job_delete", responses={204: None})
    def delete(self, request: Request, job_id: UUID) -> Response:
        """Delete a job that is over, and its outputs.

        It is no longer shown, nothing of it plays any more, and its objects are removed from the store. A job that is
        not over must be cancelled first: 409 `job_not_over`.
        """
        job_delete(owner=owner_of(request), job_id=job_id)
        return Response(status=204)


class JobOutputsApi(APIView):
    scopes: ClassVar = {"GET": Scope.JOBS_READ, "DELETE": Scope.JOBS_WRITE}

    @extend_schema(operation_id="job_outputs", responses=OutputsDocument)
    def get(self, request: Request, job_id: UUID) -> HttpResponse:
        """List the outputs of a job.

        There are none before it is completed. Their URLs work without credentials until they expire.
        """
        owner = owner_of(request)

        def render() -> tuple[Any, float]:
            job = _job(owner, job_id)
            complete = complete_generations([job.generation_id])
            return outputs_document(job, complete.get(job.generation_id), request), job_cache_ttl_seconds(job)

        return cached_response("outputs", job_id, variant=variant_for(request, owner.pk), render=render)

    @extend_schema(operation_id="job_outputs_delete", responses={204: None})
    def delete(self, request: Request, job_id: UUID) -> Response:
        """Delete the outputs of a job that is over.

        The job stays as a record. If players had its outputs, they get those of the newest other job of the video.
        """
        job_outputs_delete(owner=owner_of(request), job_id=job_id)
        return Response(status=204)


class JobRenditionApi(APIView):
    scopes: ClassVar = {"DELETE": Scope.JOBS_WRITE}

    @extend_schema(operation_id="job_rendition_delete", responses={204: None})
    def delete(self, request: Request, job_id: UUID, rendition: str) -> Response:
        """Delete one video rendition of a completed job.

        Its files go with it. The last one (409 `last_rendition`) and audio (409 `audio_rendition`) are deleted with all
        outputs only.
        """
        job_rendition_delete(owner=owner_of(request), job_id=job_id, name=rendition)
        return Response(status=204)


class JobPlanApi(APIView):
    scopes: ClassVar = {"GET": Scope.JOBS_READ}

    @extend_schema(operation_id="job_plan", parameters=[PlanQuery], responses=PlanDocument)
    def get(self, request: Request, job_id: UUID) -> Response:
        """Show the plan of a job.

        Renditions, chunks and commands, the reason for each choice, and an estimate of the time. Steps are shown in
        parts, by `limit` and `offset`.

        In commands, names in braces stand for the source, the outputs and the progress pipe.
        """
        page = PlanQuery.page(request)
        check_plan_rate(caller(request))
        plan = job_plan_document(owner=owner_of(request), job_id=job_id, policy=job_policy(), page=page)
        return Response(as_document(PlanDocument, plan))


class JobCancelApi(APIView):
    scopes: ClassVar = {"POST": Scope.JOBS_WRITE}

    @extend_schema(operation_id="job_cancel", parameters=[IDEMPOTENCY_KEY], request=None, responses=JobDocument)
    @idempotent()
    def post(self, request: Request, job_id: UUID) -> Response:
        """Cancel a job.

        It ends, whatever it is doing. A retry uses the segments that it has published.
        """
        owner = owner_of(request)
        job_cancel(owner=owner, job_id=job_id)
        return _shown(owner, job_id)


class JobPauseApi(APIView):
    scopes: ClassVar = {"POST": Scope.JOBS_WRITE}

    @extend_schema(operation_id="job_pause", parameters=[IDEMPOTENCY_KEY], request=None, responses=JobDocument)
    @idempotent()
    def post(self, request: Request, job_id: UUID) -> Response:
        """Pause a job.

        No step of it runs until it is resumed. Its published segments stay and can be played.
        """
        owner = owner_of(request)
        job_pause(owner=owner, job_id=job_id)
        return _shown(owner, job_id)


class JobResumeApi(APIView):
    scopes: ClassVar = {"POST": Scope.JOBS_WRITE}

    @extend_schema(operation_id="job_resume", parameters=[IDEMPOTENCY_KEY], request=None, responses={202: JobDocument})
    @idempotent()
    def post(self, request: Request, job_id: UUID) -> Response:
        """Resume a paused job.

        It continues after the last segment that it has published.
        """
        owner = owner_of(request)
        job_resume(owner=owner, job_id=job_id, policy=job_policy())
        return _shown(owner, job_id, status=202)


class JobRetryApi(APIView):
    scopes: ClassVar = {"POST": Scope.JOBS_WRITE}

    @extend_schema(operation_id="job_retry", parameters=[IDEMPOTENCY_KEY], request=None, responses={202: JobDocument})
    @idempotent()
    def post(self, request: Request, job_id: UUID) -> Response:
        """Retry a failed or cancelled job.

        It continues with the segments that it has published, while these are still stored.
        """
        owner = owner_of(request)
        job_retry(owner=owner, job_id=job_id, policy=job_policy())
        return _shown(owner, job_id, status=202)


class JobDeliverApi(APIView):
    scopes: ClassVar = {"POST": Scope.JOBS_WRITE}

    @extend_schema(operation_id="job_deliver", parameters=[IDEMPOTENCY_KEY], request=None, responses={202: JobDocument})
    @idempotent()
    def post(self, request: Request, job_id: UUID) -> Response:
        """Deliver the outputs of a job once more.

        To the destination of its request: after a delivery has failed, or to replace what was changed there.
        """
        owner = owner_of(request)
        delivery_repeat(owner=owner, job_id=job_id)
        return _shown(owner, job_id, status=202)


class JobReprioritizeApi(APIView):
    scopes: ClassVar = {"POST": Scope.JOBS_WRITE}

    @extend_schema(
        operation_id="job_reprioritize",
        parameters=[IDEMPOTENCY_KEY],
        request=ReprioritizeRequest,
        responses=JobDocument,
    )
    @idempotent()
    def post(self, request: Request, job_id: UUID) -> Response:
        """Change the priority of a queued or running job.

        The time that it has waited still counts.
        """
        rank = job_policy().rank
        serializer = ReprioritizeRequest(data=request.data, context={"priority_scale": rank.priority_scale})
        serializer.is_valid(raise_exception=True)
        owner, priority = owner_of(request), serializer.validated_data["priority"]
        check_ceiling(caller(request), priority, rank)
        job_reprioritize(owner=owner, job_id=job_id, priority=priority, rank=rank)
        return _shown(owner, job_id)


def _job(owner: Owner, job_id: UUID) -> Job:
    job = next(iter(jobs_of(owner).filter(id=job_id)), None)  # `first` would build an order for one row
    if job is None:
        raise not_found("job")
    return job


def _document(job: Job) -> dict[str, Any]:
    (document,) = _documents([job])
    return document


def _documents(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    return [as_document(JobDocument, view) for view in job_views(jobs)]


def _shown(owner: Owner, job_id: UUID, *, status: int = 200) -> Response:
    return Response(_document(_job(owner, job_id)), status)


class VideoApi(VideoDetailApi):
    """A video's address: showing it needs no jobs, deleting it does."""

    scopes: ClassVar = {**VideoDetailApi.scopes, "PATCH": Scope.VIDEOS_WRITE, "DELETE": Scope.VIDEOS_WRITE}

    @extend_schema(
        operation_id="video_update", request=RetentionRequest, responses=VideoDocument, examples=[RETENTION_EXAMPLE]
    )
    def patch(self, request: Request, video_id: UUID) -> Response:
        """Move the times at which the source and the outputs of a video are deleted.

        Null: they stay. `expires_at` is that of all complete outputs that there are now.
        """
        owner = owner_of(request)
        video_of(owner, video_id)
        body = RetentionRequest(data=request.data)
        body.is_valid(raise_exception=True)
        video_keep_until(owner=owner, video_id=video_id, times=body.validated_data)
        return Response(video_document(video_of(owner, video_id), request))

    @extend_schema(operation_id="video_delete", responses={204: None})
    def delete(self, request: Request, video_id: UUID) -> Response:
        """Delete a video.

        Its jobs are cancelled, it is no longer shown, and its objects are removed from the store.
        """
        video_delete(owner=owner_of(request), video_id=video_id)
        return Response(status=204)


class OriginalApi(VideoOriginalApi):
    """The address of a video's source: reading it needs no jobs, deleting it does."""

    scopes: ClassVar = {**VideoOriginalApi.scopes, "DELETE": Scope.VIDEOS_WRITE}

    @extend_schema(operation_id="video_original_delete", responses={204: None})
    def delete(self, request: Request, video_id: UUID) -> Response:
        """Delete the original file alone.

        The video keeps its outputs and can be played, and cannot be transcoded again: 409 `source_deleted`. While a job
        of it is not over, the answer is 409 `video_in_use`; where nothing was made of it, 409 `no_outputs`.
        """
        source_delete(owner=owner_of(request), video_id=video_id)
        return Response(status=204)
