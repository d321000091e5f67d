from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0002_names_and_newest_failed"),
    ]

    operations = [
        migrations.AddField(
            model_name="webhookendpoint",
            name="sha256_signature",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="delivery",
            name="tried_since",
            field=models.DateTimeField(null=True),
        ),
    ]
