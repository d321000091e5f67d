"""All addresses of the site."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("", include("jobs.urls")),  # before the videos': it adds DELETE to the address of a video
    path("", include("videos.urls")),
    path("", include("events.urls")),
]

handler400 = "api.problems.handler400"
handler403 = "api.problems.handler403"
handler404 = "api.problems.handler404"
handler500 = "api.problems.handler500"
