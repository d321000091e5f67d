from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes that are built while workers go on claiming

    dependencies = [
        ("access", "0004_names"),
        ("jobs", "0015_failed_purges"),
        ("videos", "0012_deleted_outputs"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="step",
            index=models.Index(
                condition=models.Q(("state__in", ["ready"])),
                fields=["queue", "owner", "encoder", "sessions", "lead_seconds", "rank_at", "ordinal"],
                name="jobs_step_order",
            ),
        ),
        AddIndexConcurrently(
            model_name="step",
            index=models.Index(
                condition=models.Q(("claimed_at__isnull", False)),
                fields=["queue", "owner", "claimed_at"],
                name="jobs_step_owner_served",
            ),
        ),
    ]
