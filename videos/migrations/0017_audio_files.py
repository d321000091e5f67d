from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("videos", "0016_thumbnails")]

    operations = [
        migrations.RemoveConstraint(model_name="asset", name="videos_asset_kind"),
        migrations.AddConstraint(
            model_name="asset",
            constraint=models.CheckConstraint(name="videos_asset_kind", condition=Q(kind__in=["mp4", "m4a"])),
        ),
        migrations.AddConstraint(
            model_name="asset",
            constraint=models.CheckConstraint(
                name="videos_asset_m4a",
                condition=~Q(kind="m4a")
                | Q(rendition__isnull=False, duration__isnull=False, width__isnull=True, media_type="audio/mp4"),
            ),
        ),
    ]
