from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0019_work")]

    operations = [
        migrations.AddField(
            model_name="job",
            name="error_details",
            field=models.TextField(blank=True, db_default=""),
        ),
    ]
