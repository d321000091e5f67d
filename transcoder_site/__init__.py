"""The Django project: settings, URLs, ASGI application, Celery application."""

import gc

gc.disable()  # until Django is set up: looking at what is imported, again and again, takes a tenth of a start

from transcoder_site.celery import app as celery_app  # noqa: E402 - what it imports, too

__all__ = ["celery_app"]  # imported with Django, so that tickets sent by name go to the configured broker
