import gc

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "operations"

    def ready(self) -> None:
        """Turn the garbage collector on again, which `transcoder_site` turned off: nearly everything is imported."""
        gc.enable()
