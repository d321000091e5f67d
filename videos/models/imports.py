from django.db import models
from django.db.models import Q

from videos.models.videos import Video


class Import(models.Model):
    """The URL that the source of a video is fetched from, and how much of it is there."""

    video = models.OneToOneField(Video, on_delete=models.CASCADE, primary_key=True, related_name="imported_from")
    url = models.TextField(blank=True)
    """As it was requested: it may grant access, so nobody is shown it. Emptied when the fetching ends, however it does.
    """
    shown_url = models.TextField()
    """The same without what grants access."""
    sha256 = models.TextField(blank=True)
    """Checksum that the client promised. Empty: none."""
    size_bytes = models.BigIntegerField(null=True)
    """Announced by the server."""
    received_bytes = models.BigIntegerField(default=0)
    multipart_id = models.TextField(blank=True)
    """Id of the multipart upload in the store that has the parts which are there."""
    validator = models.TextField(blank=True)
    """Identifies the content that these parts are of: an ETag, or a time of change. Empty: the server gave none."""

    class Meta:
        constraints = [
            models.CheckConstraint(name="videos_import_received", condition=Q(received_bytes__gte=0)),
        ]

    def __str__(self) -> str:
        return self.shown_url
