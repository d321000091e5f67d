from django.urls import path

from jobs.endpoints.apis import (
    JobCancelApi,
    JobDeliverApi,
    JobDetailApi,
    JobListApi,
    JobOutputsApi,
    JobPauseApi,
    JobPlanApi,
    JobRenditionApi,
    JobReprioritizeApi,
    JobResumeApi,
    JobRetryApi,
    OriginalApi,
    VideoApi,
    VideoJobsApi,
    VideoOutputsApi,
    VideoTranscodeApi,
)
from jobs.endpoints.importing import VideoImportApi
from jobs.endpoints.joining import VideoJoinApi
from jobs.endpoints.texts import TextRetryApi
from jobs.endpoints.thumbnails import VideoScenesApi, VideoThumbnailsApi
from jobs.endpoints.tus import TusUploadApi, TusUploadsApi
from jobs.endpoints.uploads import UploadCompleteApi, UploadDetailApi, UploadListApi, UploadPartApi, UploadPartsApi

urlpatterns = [
    path("api/v1/uploads", UploadListApi.as_view(), name="upload-list"),
    path("api/v1/uploads/tus", TusUploadsApi.as_view(), name="tus-uploads"),
    path("api/v1/uploads/tus/<uuid:upload_id>", TusUploadApi.as_view(), name="tus-upload"),
    path("api/v1/uploads/<uuid:upload_id>", UploadDetailApi.as_view(), name="upload-detail"),
    path("api/v1/uploads/<uuid:upload_id>/parts", UploadPartsApi.as_view(), name="upload-parts"),
    path("api/v1/uploads/<uuid:upload_id>/parts/<int:number>", UploadPartApi.as_view(), name="upload-part"),
    path("api/v1/uploads/<uuid:upload_id>/complete", UploadCompleteApi.as_view(), name="upload-complete"),
    path("api/v1/videos/import", VideoImportApi.as_view(), name="video-import"),
    path("api/v1/videos/join", VideoJoinApi.as_view(), name="video-join"),
    path("api/v1/videos/<uuid:video_id>", VideoApi.as_view(), name="video-detail"),
    path("api/v1/videos/<uuid:video_id>/original", OriginalApi.as_view(), name="video-original"),
    path("api/v1/videos/<uuid:video_id>/transcode", VideoTranscodeApi.as_view(), name="video-transcode"),
    path("api/v1/videos/<uuid:video_id>/jobs", VideoJobsApi.as_view(), name="video-jobs"),
    path("api/v1/videos/<uuid:video_id>/outputs", VideoOutputsApi.as_view(), name="video-outputs"),
    path("api/v1/videos/<uuid:video_id>/thumbnails", VideoThumbnailsApi.as_view(), name="video-thumbnails"),
    path("api/v1/videos/<uuid:video_id>/scenes", VideoScenesApi.as_view(), name="video-scenes"),
    path("api/v1/videos/<uuid:video_id>/texts/<uuid:text_id>/retry", TextRetryApi.as_view(), name="text-retry"),
    path("api/v1/jobs", JobListApi.as_view(), name="job-list"),
    path("api/v1/jobs/<uuid:job_id>", JobDetailApi.as_view(), name="job-detail"),
    path("api/v1/jobs/<uuid:job_id>/outputs", JobOutputsApi.as_view(), name="job-outputs"),
    path("api/v1/jobs/<uuid:job_id>/outputs/<slug:rendition>", JobRenditionApi.as_view(), name="job-rendition"),
    path("api/v1/jobs/<uuid:job_id>/plan", JobPlanApi.as_view(), name="job-plan"),
    path("api/v1/jobs/<uuid:job_id>/deliver", JobDeliverApi.as_view(), name="job-deliver"),
    path("api/v1/jobs/<uuid:job_id>/cancel", JobCancelApi.as_view(), name="job-cancel"),
    path("api/v1/jobs/<uuid:job_id>/pause", JobPauseApi.as_view(), name="job-pause"),
    path("api/v1/jobs/<uuid:job_id>/resume", JobResumeApi.as_view(), name="job-resume"),
    path("api/v1/jobs/<uuid:job_id>/retry", JobRetryApi.as_view(), name="job-retry"),
    path("api/v1/jobs/<uuid:job_id>/reprioritize", JobReprioritizeApi.as_view(), name="job-reprioritize"),
]
