from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0009_keyframes"),
    ]

    operations = [
        migrations.AlterField(
            model_name="rendition",
            name="total_segments",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddConstraint(
            model_name="rendition",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "completed"), _negated=True), ("total_segments__isnull", False), _connector="OR"
                ),
                name="videos_rendition_completed_is_closed",
            ),
        ),
    ]
