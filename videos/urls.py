from django.urls import path

from videos import apis, playback

urlpatterns = [
    path("api/v1/videos", apis.VideoListApi.as_view(), name="video-list"),
    path("api/v1/videos/upload", apis.VideoUploadApi.as_view(), name="video-upload"),
    path("api/v1/videos/<uuid:video_id>", apis.VideoDetailApi.as_view(), name="video-detail"),
    path("api/v1/videos/<uuid:video_id>/original", apis.VideoOriginalApi.as_view(), name="video-original"),
    path("api/v1/videos/<uuid:video_id>/playback", apis.VideoPlaybackApi.as_view(), name="video-playback"),
    path("play/<str:token>/<int:generation>/master.m3u8", playback.master, name="play-master"),
    path("play/<str:token>/<int:generation>/manifest.mpd", playback.dash, name="play-dash"),
    path("play/<str:token>/<int:generation>/<slug:rendition>.mp4", playback.movie, name="play-movie"),
    path("play/<str:token>/<int:generation>/<slug:rendition>/index.m3u8", playback.index, name="play-index"),
    path("play/<str:token>/<int:generation>/<slug:rendition>/init.mp4", playback.init, name="play-init"),
    path("play/<str:token>/<int:generation>/<slug:rendition>/<int:number>.m4s", playback.segment, name="play-segment"),
    path("play/<path:rest>", playback.nothing, name="play-nothing"),
]
