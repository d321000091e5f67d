from django.urls import path

from livestreams.endpoints.apis import (
    LivestreamDetailApi,
    LivestreamListApi,
    LivestreamRecordingsApi,
    LivestreamRefusalsApi,
    LivestreamRotateKeyApi,
    LivestreamStopApi,
)

_ONE = "api/v1/livestreams/<uuid:livestream_id>"

urlpatterns = [
    path("api/v1/livestreams", LivestreamListApi.as_view(), name="livestream-list"),
    path(_ONE, LivestreamDetailApi.as_view(), name="livestream-detail"),
    path(f"{_ONE}/rotate-key", LivestreamRotateKeyApi.as_view(), name="livestream-rotate-key"),
    path(f"{_ONE}/stop", LivestreamStopApi.as_view(), name="livestream-stop"),
    path(f"{_ONE}/recordings", LivestreamRecordingsApi.as_view(), name="livestream-recordings"),
    path(f"{_ONE}/refusals", LivestreamRefusalsApi.as_view(), name="livestream-refusals"),
]
