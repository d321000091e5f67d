from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # an index that is built concurrently

    dependencies = [
        ("livestreams", "0001_initial"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="broadcast",
            index=models.Index(
                condition=models.Q(("state__in", ["ending", "live", "starting"])),
                fields=["state", "livestream"],
                name="livestreams_broadcast_open",
            ),
        ),
    ]
