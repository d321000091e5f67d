from django.urls import path

from webui import views, watch

app_name = "webui"  # transcoder_site.policies lets these pages load media
urlpatterns = [
    path("", views.library, name="library"),
    path("videos/<uuid:video_id>", views.video, name="video"),
    path("videos/<uuid:video_id>/files/<str:kind>/<slug:name>", views.download, name="download"),
    path("videos/<uuid:video_id>/plan", views.plan, name="plan"),
    path("livestreams", views.livestreams, name="livestreams"),
    path("livestreams/<uuid:livestream_id>", views.livestream, name="livestream"),
    path("watch/<str:token>", watch.watch, name="watch"),
    path("watch/<str:token>/state", watch.state, name="watch-state"),
]
