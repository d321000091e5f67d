from django.urls import path

from jobs.apis import JobDetailApi, JobListApi, JobOutputsApi, VideoApi, VideoTranscodeApi

urlpatterns = [
    path("api/v1/videos/<uuid:video_id>", VideoApi.as_view(), name="video-detail"),
    path("api/v1/videos/<uuid:video_id>/transcode", VideoTranscodeApi.as_view(), name="video-transcode"),
    path("api/v1/jobs", JobListApi.as_view(), name="job-list"),
    path("api/v1/jobs/<uuid:job_id>", JobDetailApi.as_view(), name="job-detail"),
    path("api/v1/jobs/<uuid:job_id>/outputs", JobOutputsApi.as_view(), name="job-outputs"),
]
