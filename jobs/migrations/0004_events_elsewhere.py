from django.db import migrations, models

COPY = """
INSERT INTO events_event (owner_id, video_id, job_id, seq, type, data, created_at)
SELECT job.owner_id, job.video_id, job.id, event.seq, event.type, event.data, event.created_at
FROM jobs_event event JOIN jobs_job job ON job.id = event.job_id ORDER BY event.id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0003_lanes"),
        ("events", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(COPY, migrations.RunSQL.noop),
        migrations.DeleteModel(name="Event"),
        migrations.AddField(model_name="job", name="progress_told", field=models.PositiveSmallIntegerField(default=0)),
    ]
