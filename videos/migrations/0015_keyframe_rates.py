from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("videos", "0014_audio_mp4s")]

    operations = [
        migrations.AddField(
            model_name="rendition",
            name="keyframe_avg_bitrate",
            field=models.PositiveBigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="rendition",
            name="keyframe_peak_bitrate",
            field=models.PositiveBigIntegerField(null=True),
        ),
    ]
