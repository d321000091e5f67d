from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0003_keys"),
        ("jobs", "0008_newest_of_all"),
        ("videos", "0005_newest_of_all"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="step",
            index=models.Index(
                condition=models.Q(("sessions__gt", 0), ("state__in", ["delayed", "ready"])),
                fields=["encoder", "sessions", "error_code", "job"],
                name="jobs_step_needs",
            ),
        ),
    ]
