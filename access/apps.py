from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "access"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register our authentication with drf-spectacular, which is an effect of the import."""
        import access.schema  # noqa: F401 - needs the settings and the models
