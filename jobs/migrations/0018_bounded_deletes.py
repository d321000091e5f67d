from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes that are built while workers go on

    dependencies = [
        ("jobs", "0017_open_jobs_of_owner"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="job",
            index=models.Index(
                condition=models.Q(("finished_at__isnull", True)), fields=["video"], name="jobs_job_open_of_video"
            ),
        ),
        AddIndexConcurrently(
            model_name="step",
            index=models.Index(condition=models.Q(("kind", "purge")), fields=["video"], name="jobs_step_purges"),
        ),
        AddIndexConcurrently(
            model_name="step",
            index=models.Index(
                condition=models.Q(("state__in", ["cancelled"]), ("lease_expires_at__isnull", False)),
                fields=["video", "lease_expires_at"],
                name="jobs_step_cancelled",
            ),
        ),
    ]
