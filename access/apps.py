from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "access"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have drf-spectacular know our authentication; it registers what was imported."""
        import access.schema  # noqa: F401 - needs the settings and the models
