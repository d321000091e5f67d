import django.contrib.postgres.fields
import django.db.models.lookups
from django.db import migrations, models

import videos.models


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0008_mp4_assets"),
    ]

    operations = [
        migrations.AddField(
            model_name="segmentrun",
            name="keyframe_offsets",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), null=True, size=None),
        ),
        migrations.AddField(
            model_name="segmentrun",
            name="keyframe_sizes",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), null=True, size=None),
        ),
        migrations.AddField(
            model_name="segmentrun",
            name="keyframe_ticks",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), null=True, size=None),
        ),
        migrations.AddConstraint(
            model_name="segmentrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("keyframe_offsets", None), ("keyframe_sizes", None), ("keyframe_ticks", None)),
                    models.Q(
                        django.db.models.lookups.Exact(
                            videos.models.ZeroCount(models.F("keyframe_offsets")), models.F("segment_count")
                        ),
                        ("keyframe_offsets__0", 0),
                        ("keyframe_offsets__isnull", False),
                        ("keyframe_sizes__isnull", False),
                        ("keyframe_sizes__len", models.Func(models.F("keyframe_offsets"), function="cardinality")),
                        ("keyframe_ticks__isnull", False),
                        ("keyframe_ticks__len", models.Func(models.F("keyframe_offsets"), function="cardinality")),
                    ),
                    _connector="OR",
                ),
                name="videos_run_keyframes",
            ),
        ),
    ]
