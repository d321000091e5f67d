"""The Django project: settings, URLs, ASGI application, Celery application."""

from transcoder_site.celery import app as celery_app

__all__ = ["celery_app"]  # imported with Django, so that tickets sent by name go to the configured broker
