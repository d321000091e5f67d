from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    """Move unfinished imports and deliveries to their own queue, running ones too: they may be released or fail.

    What processes of before still create in the queue `cpu` is run there, as it was.
    """

    atomic = False  # the table scan has a lock that lets workers go on, and only until its end

    dependencies = [
        ("jobs", "0033_transfer_queue"),
    ]

    operations = [
        ValidateConstraint(model_name="step", name="jobs_step_queue"),
        migrations.RunSQL(
            "UPDATE jobs_step SET queue = 'transfer' WHERE queue = 'cpu' AND kind IN ('fetch', 'deliver')"
            " AND state IN ('ready', 'delayed', 'running')",
            "UPDATE jobs_step SET queue = 'cpu' WHERE queue = 'transfer'",
        ),
    ]
