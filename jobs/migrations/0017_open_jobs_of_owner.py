from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes that are built while jobs are created

    dependencies = [
        ("jobs", "0016_order_of_owners"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="job",
            index=models.Index(
                condition=models.Q(("finished_at__isnull", True)), fields=["owner"], name="jobs_job_open_of_owner"
            ),
        ),
    ]
