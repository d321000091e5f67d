from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("gpu", "0002_names"),
    ]

    operations = [
        migrations.RenameField(model_name="devicereport", old_name="trial_wanted", new_name="trial_requested"),
    ]
