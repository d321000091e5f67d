from django.apps import AppConfig


class WorkersConfig(AppConfig):
    """The Django application of the workers; it has no tables, the rows are the jobs'."""

    name = "workers"
