from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0032_valid_relay_steps"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="step",
            name="jobs_step_queue",
        ),
        AddConstraintNotValid(
            model_name="step",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        models.Q(("kind", "relay"), _negated=True),
                        ("queue__in", ("cpu", "gpu", "transfer", "background")),
                    ),
                    models.Q(("kind", "relay"), ("queue", "")),
                    _connector="OR",
                ),
                name="jobs_step_queue",
            ),
        ),
    ]
