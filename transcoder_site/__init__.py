"""The Django project: settings, addresses, ASGI application, Celery application."""

from transcoder_site.celery import app as celery_app

__all__ = ["celery_app"]  # imported with Django, so that whoever sends a ticket by name finds the right broker
