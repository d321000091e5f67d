from django.urls import path

from videos import apis, text_apis
from videos.assets import views as asset_views
from videos.playback import text_views, views
from videos.playback import thumbnails as thumbnail_views
from videos.states import AssetKind
from videos.usage.apis import UsageApi
from videos.watermarks import apis as watermark_apis

_PLAY = "play/<str:token>/<int:generation>"

# A kind of asset has a route `play-KIND`. `video-detail` and `video-original` are routes of jobs, which know what a
# deletion cancels or must wait for.
urlpatterns = [
    path("api/v1/videos", apis.VideoListApi.as_view(), name="video-list"),
    path("api/v1/videos/upload", apis.VideoUploadApi.as_view(), name="video-upload"),
    path("api/v1/videos/<uuid:video_id>/playback", apis.VideoPlaybackApi.as_view(), name="video-playback"),
    path(
        "api/v1/videos/<uuid:video_id>/revoke-playback",
        apis.VideoRevokePlaybackApi.as_view(),
        name="video-revoke-playback",
    ),
    path("api/v1/usage", UsageApi.as_view(), name="usage"),
    path("api/v1/watermarks", watermark_apis.WatermarkListApi.as_view(), name="watermark-list"),
    path("api/v1/watermarks/<uuid:watermark_id>", watermark_apis.WatermarkDetailApi.as_view(), name="watermark-detail"),
    path("api/v1/videos/<uuid:video_id>/texts", text_apis.VideoTextsApi.as_view(), name="video-texts"),
    path("api/v1/videos/<uuid:video_id>/texts/<uuid:text_id>", text_apis.TextApi.as_view(), name="text-detail"),
    path(f"{_PLAY}/master.m3u8", views.master, name="play-master"),
    path(f"{_PLAY}/manifest.mpd", views.dash, name="play-dash"),
    path(f"{_PLAY}/<slug:name>.mp4", asset_views.asset, {"kind": AssetKind.MP4}, name="play-mp4"),
    path(f"{_PLAY}/<slug:name>.m4a", asset_views.asset, {"kind": AssetKind.M4A}, name="play-m4a"),
    path(f"{_PLAY}/texts/<slug:text>.vtt", text_views.whole, name="play-text"),
    path(f"{_PLAY}/texts/<slug:text>/index.m3u8", text_views.index, name="play-text-index"),
    path(f"{_PLAY}/texts/<slug:text>/<int:number>.vtt", text_views.segment, name="play-text-segment"),
    path(f"{_PLAY}/<slug:rendition>/index.m3u8", views.index, name="play-index"),
    path(f"{_PLAY}/<slug:rendition>/iframes.m3u8", views.iframes, name="play-iframes"),
    path(f"{_PLAY}/<slug:rendition>/init.mp4", views.init, name="play-init"),
    path(f"{_PLAY}/<slug:rendition>/<int:number>.m4s", views.segment, name="play-segment"),
    path("play/<str:token>/poster.jpg", thumbnail_views.poster, name="play-poster"),
    path("play/<str:token>/thumbnails/<slug:images>/<str:name>", thumbnail_views.image, name="play-thumbnails"),
    path("play/<path:rest>", views.nothing, name="play-nothing"),
]
