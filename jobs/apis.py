from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.services import default_owner
from api.pagination import CursorPages
from api.problems import not_found
from api.schema import PAGE_PARAMETERS, page_of
from jobs.representations import JobDocument, OutputsDocument, outputs_document
from jobs.requests import JobFilter, TranscodeRequest
from jobs.selectors import job_renditions, job_views, jobs_of
from jobs.services import job_create, video_delete
from jobs.wiring import job_policy
from videos.apis import VideoDetailApi


class VideoTranscodeApi(APIView):
    @extend_schema(operation_id="video_transcode", request=TranscodeRequest, responses={202: JobDocument})
    def post(self, request: Request, video_id: UUID) -> Response:
        """Ask for a video to be transcoded. Without a resolution or bitrate the whole ladder is made."""
        asked = TranscodeRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        wanted = dict(asked.validated_data)
        policy = job_policy()
        priority = wanted.pop("priority", policy.rank.default_priority)
        owner = default_owner()
        job = job_create(owner=owner, video_id=video_id, request=wanted, priority=priority, policy=policy)
        (view,) = job_views([jobs_of(owner).get(id=job.id)])
        return Response(JobDocument(view).data, 202, headers={"Location": reverse("job-detail", args=[job.id])})


class JobListApi(APIView):
    @extend_schema(operation_id="job_list", parameters=[JobFilter, *PAGE_PARAMETERS], responses=page_of(JobDocument))
    def get(self, request: Request) -> Response:
        """List jobs, newest first."""
        wanted = JobFilter(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        pages = CursorPages()
        page = pages.paginate_queryset(jobs_of(default_owner()).filter(**wanted.validated_data), request, view=self)
        return pages.get_paginated_response(JobDocument(job_views(page or []), many=True).data)


class JobDetailApi(APIView):
    @extend_schema(operation_id="job_detail", responses=JobDocument)
    def get(self, request: Request, job_id: UUID) -> Response:  # noqa: ARG002 - REST framework's signature
        """Show one job and how far it is."""
        job = jobs_of(default_owner()).filter(id=job_id).first()
        if job is None:
            raise not_found("job")
        (view,) = job_views([job])
        return Response(JobDocument(view).data)


class JobOutputsApi(APIView):
    @extend_schema(operation_id="job_outputs", responses=OutputsDocument)
    def get(self, request: Request, job_id: UUID) -> Response:
        """List what a job made, with addresses that work without credentials until they expire; none before the end."""
        job = jobs_of(default_owner()).filter(id=job_id).first()
        if job is None:
            raise not_found("job")
        return Response(outputs_document(job, job_renditions(job), request))


class VideoApi(VideoDetailApi):
    """A video's address: showing it needs no jobs, deleting it does."""

    @extend_schema(operation_id="video_delete", responses={204: None})
    def delete(self, request: Request, video_id: UUID) -> Response:  # noqa: ARG002 - REST framework's signature
        """Cancel a video's jobs, hide it, and remove every object of it."""
        video_delete(owner=default_owner(), video_id=video_id)
        return Response(status=204)
