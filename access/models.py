from uuid import uuid4

from django.db import models
from django.db.models.functions import Now


class Owner(models.Model):
    """Whoever videos and jobs belong to, and between whom the workers are shared fairly."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    name = models.TextField(unique=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
