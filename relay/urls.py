from django.urls import path

from relay.records.apis import LiveSessionDetailApi, LiveSessionListApi

urlpatterns = [
    path("api/v1/live/sessions", LiveSessionListApi.as_view(), name="live-session-list"),
    path("api/v1/live/sessions/<uuid:session_id>", LiveSessionDetailApi.as_view(), name="live-session-detail"),
]
