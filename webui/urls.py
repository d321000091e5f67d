from django.urls import path

from webui import views

app_name = "webui"  # transcoder_site.policies lets these pages load media
urlpatterns = [
    path("", views.library, name="library"),
    path("videos/<uuid:video_id>", views.video, name="video"),
    path("videos/<uuid:video_id>/plan", views.plan, name="plan"),
]
