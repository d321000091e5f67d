from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0004_names"),
        ("jobs", "0024_valid_steps"),
        ("videos", "0023_uploads"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="step",
            name="jobs_step_kind",
        ),
        migrations.RemoveConstraint(
            model_name="step",
            name="jobs_step_belongs",
        ),
        AddConstraintNotValid(
            model_name="step",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        [
                            "join",
                            "verify",
                            "inspect",
                            "audio",
                            "chunk",
                            "remux",
                            "text",
                            "finish",
                            "purge",
                            "thumbnails",
                        ],
                    )
                ),
                name="jobs_step_kind",
            ),
        ),
        AddConstraintNotValid(
            model_name="step",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("generation__isnull", True),
                        ("job__isnull", True),
                        ("kind__in", ["join", "verify", "inspect", "text", "purge", "thumbnails"]),
                    ),
                    models.Q(("generation__isnull", False), ("job__isnull", False)),
                    _connector="OR",
                ),
                name="jobs_step_belongs",
            ),
        ),
    ]
