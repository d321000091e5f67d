from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0004_names"),
        ("jobs", "0011_pause"),
        ("videos", "0010_open_renditions"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="step",
            name="jobs_step_done_is_whole",
        ),
        migrations.AlterField(
            model_name="step",
            name="units_total",
            field=models.PositiveIntegerField(default=0, null=True),
        ),
        migrations.AddConstraint(
            model_name="step",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ["done"]), _negated=True),
                    models.Q(("units_done", models.F("units_total")), ("units_total__isnull", False)),
                    _connector="OR",
                ),
                name="jobs_step_done_is_whole",
            ),
        ),
    ]
