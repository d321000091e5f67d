from django.apps import AppConfig


class LivestreamsConfig(AppConfig):
    """The Django application of live streams that people publish to us."""

    name = "livestreams"
