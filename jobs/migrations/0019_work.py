from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes that are built while jobs are created and read

    dependencies = [("jobs", "0018_bounded_deletes")]

    operations = [
        migrations.AddField(
            model_name="job",
            name="work_seconds",
            field=models.FloatField(db_default=0.0, default=0.0),
        ),
        AddIndexConcurrently(
            model_name="job",
            index=models.Index(
                condition=models.Q(("phase", "waiting"), ("waiting_since__isnull", True)),
                fields=["owner", "created_at"],
                name="jobs_job_held",
            ),
        ),
    ]
