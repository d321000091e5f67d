from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("videos", "0028_retention"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="generation",
            index=models.Index(
                condition=models.Q(("expires_at__isnull", False), ("state", "complete")),
                fields=["expires_at"],
                name="videos_generation_expires",
            ),
        ),
        AddIndexConcurrently(
            model_name="video",
            index=models.Index(
                condition=models.Q(("source_deleted_at", None), ("source_expires_at__isnull", False)),
                fields=["source_expires_at"],
                name="videos_video_source_expires",
            ),
        ),
    ]
