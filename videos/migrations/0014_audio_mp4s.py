from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("videos", "0013_details_and_loudness")]

    operations = [
        migrations.RemoveConstraint(model_name="asset", name="videos_asset_mp4"),
        migrations.AddConstraint(
            model_name="asset",
            constraint=models.CheckConstraint(
                name="videos_asset_mp4",
                condition=~Q(kind="mp4")
                | Q(rendition__isnull=False, duration__isnull=False, language="")
                & (Q(width__isnull=False, media_type="video/mp4") | Q(width__isnull=True, media_type="audio/mp4")),
            ),
        ),
    ]
