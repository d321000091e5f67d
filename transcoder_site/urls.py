"""All URLs of the site."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

from access.login import PersonLogin
from transcoder_site.files import static_file
from transcoder_site.pages import index

admin.autodiscover()

login = LoginView.as_view(template_name="webui/login.html", form_class=PersonLogin)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("livestreams.urls")),
    path("", include("jobs.urls")),
    path("", include("videos.urls")),
    path("", include("events.urls")),
    path("", include("access.urls")),
    path("", include("operations.urls")),
    path("", include("relay.urls")),
    path("", include("webui.urls")),
    path("api/", index, name="api-index"),
    path("api/login", login, name="login"),
    path("api/logout", LogoutView.as_view(next_page="login"), name="logout"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("static/<path:path>", static_file),
]

handler400 = "api.problems.handler400"
handler403 = "api.problems.handler403"
handler404 = "api.problems.handler404"
handler500 = "api.problems.handler500"
