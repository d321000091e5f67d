from django.urls import path

from videos import apis
from videos.playback import views

# `video-detail` is a route of jobs, which know what deleting a video cancels.
urlpatterns = [
    path("api/v1/videos", apis.VideoListApi.as_view(), name="video-list"),
    path("api/v1/videos/upload", apis.VideoUploadApi.as_view(), name="video-upload"),
    path("api/v1/videos/<uuid:video_id>/original", apis.VideoOriginalApi.as_view(), name="video-original"),
    path("api/v1/videos/<uuid:video_id>/playback", apis.VideoPlaybackApi.as_view(), name="video-playback"),
    path("play/<str:token>/<int:generation>/master.m3u8", views.master, name="play-master"),
    path("play/<str:token>/<int:generation>/manifest.mpd", views.dash, name="play-dash"),
    path("play/<str:token>/<int:generation>/<slug:rendition>.mp4", views.movie, name="play-movie"),
    path("play/<str:token>/<int:generation>/<slug:rendition>/index.m3u8", views.index, name="play-index"),
    path("play/<str:token>/<int:generation>/<slug:rendition>/init.mp4", views.init, name="play-init"),
    path("play/<str:token>/<int:generation>/<slug:rendition>/<int:number>.m4s", views.segment, name="play-segment"),
    path("play/<path:rest>", views.nothing, name="play-nothing"),
]
