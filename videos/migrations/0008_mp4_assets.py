from django.db import migrations

_MOVE = """
INSERT INTO videos_asset (id, generation_id, rendition_id, kind, name, language, media_type,
                          key, size_bytes, sha256, width, height, duration)
SELECT gen_random_uuid(), rendition.generation_id, rendition.id, 'mp4', rendition.name, '', 'video/mp4',
       rendition.mp4_key, rendition.mp4_size, rendition.mp4_sha256, rendition.width, rendition.height,
       runs.ticks::float8 / rendition.timescale
FROM videos_rendition rendition
JOIN videos_generation generation ON generation.id = rendition.generation_id
JOIN videos_video video ON video.id = generation.video_id
JOIN LATERAL (
    SELECT sum(ticks) AS ticks FROM videos_segmentrun run, unnest(run.durations) ticks
    WHERE run.rendition_id = rendition.id
) runs ON runs.ticks > 0
WHERE rendition.mp4_key <> '' AND video.state <> 'deleted'
"""
"""One row per MP4 that is still stored: the runs, and the objects, of a deleted video are gone."""

_MOVE_BACK = """
UPDATE videos_rendition rendition
SET mp4_key = asset.key, mp4_size = asset.size_bytes, mp4_sha256 = asset.sha256
FROM videos_asset asset WHERE asset.rendition_id = rendition.id AND asset.kind = 'mp4'
"""


class Migration(migrations.Migration):
    dependencies = [("videos", "0007_assets")]

    operations = [
        migrations.RunSQL(_MOVE, _MOVE_BACK),
        migrations.RemoveConstraint(model_name="rendition", name="videos_rendition_mp4"),
        migrations.RemoveField(model_name="rendition", name="mp4_key"),
        migrations.RemoveField(model_name="rendition", name="mp4_sha256"),
        migrations.RemoveField(model_name="rendition", name="mp4_size"),
    ]
