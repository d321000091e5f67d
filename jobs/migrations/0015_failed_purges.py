from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0014_deleted_jobs"),
    ]

    operations = [
        # Purges are never given up any more. Those that were are tried again.
        migrations.RunSQL(
            """
            UPDATE jobs_step SET state = 'ready', finished_at = NULL, rank_at = now(), failures = 0,
                                 attempts_without_progress = 0
            WHERE kind = 'purge' AND state = 'failed'
            """,
            migrations.RunSQL.noop,
        ),
    ]
