"""The Celery application. Its settings are the CELERY_* names of transcoder_site.settings."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "transcoder_site.settings")
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")  # of Django: they load all URLs with their pages, and CI runs them

app = Celery("vodmill")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["workers"])
