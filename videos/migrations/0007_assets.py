import uuid

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.models import Q

_SAME_GENERATION = """
ALTER TABLE videos_asset ADD CONSTRAINT videos_asset_rendition_fk
    FOREIGN KEY (generation_id, rendition_id) REFERENCES videos_rendition (generation_id, id)
    DEFERRABLE INITIALLY DEFERRED
"""
"""Holds an asset to a rendition of its own generation. Django has no foreign keys of two columns."""


class Migration(migrations.Migration):
    dependencies = [("videos", "0006_newest_in_state")]

    operations = [
        migrations.AddConstraint(
            model_name="rendition",
            constraint=models.UniqueConstraint(fields=["generation", "id"], name="videos_rendition_generation"),
        ),
        migrations.CreateModel(
            name="Asset",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.TextField()),
                ("name", models.TextField()),
                ("language", models.TextField(blank=True)),
                ("media_type", models.TextField()),
                ("key", models.TextField(unique=True)),
                ("size_bytes", models.PositiveBigIntegerField()),
                ("sha256", models.TextField()),
                ("width", models.PositiveIntegerField(null=True)),
                ("height", models.PositiveIntegerField(null=True)),
                ("duration", models.FloatField(null=True)),
                (
                    "published_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "generation",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="assets",
                        to="videos.generation",
                    ),
                ),
                (
                    "rendition",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="assets",
                        to="videos.rendition",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["generation", "kind", "name"], name="videos_asset_name"),
                    models.CheckConstraint(condition=Q(("kind__in", ["mp4"])), name="videos_asset_kind"),
                    models.CheckConstraint(condition=Q(("name__regex", "^[A-Za-z0-9_-]+$")), name="videos_asset_slug"),
                    models.CheckConstraint(
                        condition=Q(
                            ("language", ""),
                            ("language__regex", "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"),
                            _connector="OR",
                        ),
                        name="videos_asset_language",
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            Q(("key", ""), _negated=True),
                            ("media_type__regex", "^[a-z]+/[a-z0-9.+-]+$"),
                            ("sha256__regex", "^[0-9a-f]{64}$"),
                            ("size_bytes__gte", 1),
                        ),
                        name="videos_asset_object",
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            Q(("height__isnull", True), ("width__isnull", True)),
                            Q(
                                ("height__gte", 1),
                                ("height__isnull", False),
                                ("width__gte", 1),
                                ("width__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="videos_asset_geometry",
                    ),
                    models.CheckConstraint(
                        condition=Q(("duration__isnull", True), ("duration__gt", 0), _connector="OR"),
                        name="videos_asset_duration",
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            Q(("kind", "mp4"), _negated=True),
                            Q(
                                ("duration__isnull", False),
                                ("language", ""),
                                ("media_type", "video/mp4"),
                                ("rendition__isnull", False),
                                ("width__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="videos_asset_mp4",
                    ),
                ],
            },
        ),
        migrations.RunSQL(_SAME_GENERATION, "ALTER TABLE videos_asset DROP CONSTRAINT videos_asset_rendition_fk"),
    ]
