"""The Celery application. Its settings are the CELERY_* names of transcoder_site.settings."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "transcoder_site.settings")

app = Celery("vodmill")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["workers"])
