import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # an index that is built while videos are played

    dependencies = [
        ("videos", "0018_watermark_images"),
    ]

    operations = [
        migrations.AddField(
            model_name="generation",
            name="beside",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="companions",
                to="videos.generation",
            ),
        ),
        AddIndexConcurrently(
            model_name="generation",
            index=models.Index(
                condition=models.Q(("beside__isnull", False)), fields=["beside"], name="videos_generation_beside"
            ),
        ),
    ]
