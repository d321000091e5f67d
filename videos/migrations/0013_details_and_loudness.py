from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("videos", "0012_deleted_outputs")]

    operations = [
        migrations.AddField(
            model_name="video",
            name="error_details",
            field=models.TextField(blank=True, db_default=""),
        ),
        migrations.AddField(
            model_name="video",
            name="measure_loudness",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
