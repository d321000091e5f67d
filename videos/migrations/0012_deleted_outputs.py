from django.db import migrations, models


def _state(*states: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=models.Q(("state__in", list(states))), name="videos_generation_state")


class Migration(migrations.Migration):
    dependencies = [("videos", "0011_abandoned_generations")]

    operations = [
        migrations.AddField("video", "source_deleted_at", models.DateTimeField(null=True)),
        migrations.RemoveConstraint(model_name="generation", name="videos_generation_state"),
        migrations.AddConstraint(
            model_name="generation", constraint=_state("building", "complete", "abandoned", "deleted")
        ),
    ]
