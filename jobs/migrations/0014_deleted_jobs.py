from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the index is built without holding up writers

    dependencies = [("jobs", "0013_plain_names")]

    operations = [
        migrations.AddField("job", "deleted_at", models.DateTimeField(null=True)),
        AddIndexConcurrently(
            "job",
            models.Index(
                fields=["deleted_at"],
                name="jobs_job_deleted",
                condition=models.Q(("deleted_at__isnull", False)),
            ),
        ),
    ]
