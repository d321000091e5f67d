from django.db import migrations, models

_STATES = "UPDATE videos_generation SET state = '{new}' WHERE state = '{old}'"


def _state(*states: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=models.Q(("state__in", list(states))), name="videos_generation_state")


class Migration(migrations.Migration):
    dependencies = [("videos", "0010_open_renditions")]

    operations = [
        migrations.RemoveConstraint(model_name="generation", name="videos_generation_state"),
        migrations.RunSQL(_STATES.format(new="abandoned", old="lost"), _STATES.format(new="lost", old="abandoned")),
        migrations.AddConstraint(model_name="generation", constraint=_state("building", "complete", "abandoned")),
    ]
