from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # each table scan has a lock that lets workers go on, and only until its end

    dependencies = [
        ("jobs", "0035_live_steps"),
    ]

    operations = [
        ValidateConstraint(model_name="step", name="jobs_step_kind"),
        ValidateConstraint(model_name="step", name="jobs_step_queue"),
        ValidateConstraint(model_name="step", name="jobs_step_belongs"),
    ]
