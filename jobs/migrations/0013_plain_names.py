from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("jobs", "0012_open_steps")]

    operations = [
        migrations.RenameField("Step", "barren_attempts", "attempts_without_progress"),
        migrations.RenameField("Job", "progress_told", "last_reported_progress"),
    ]
