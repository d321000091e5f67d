"""Counters of what owners store and have encoded.

Triggers count, so that no code path, version of the program or hand-written statement can forget to. They write rows of
their own, for which nobody waits, and the totals of a generation, for which only publishers of the same job wait.
"""

import django.db.models.deletion
from django.db import migrations, models

_TODAY = "(statement_timestamp() AT TIME ZONE 'UTC')::date"

# What a row counts for. `day` is NULL for what is there now, and the day of UTC of the row's creation for what came.
_AMOUNTS = {
    "video": """
        SELECT v.owner_id, amounts.day, amounts.kind, amounts.amount::bigint
        FROM (SELECT v.source_deleted_at IS NULL AND v.state NOT IN ('joining', 'rejected', 'deleting', 'deleted')
                         AS stored,
                     v.state NOT IN ('deleting', 'deleted') AS shown,
                     v.parts IS NULL AND (v.inspected_at IS NOT NULL OR v.state IN ('uploaded', 'verifying'))
                         AND jsonb_typeof(v.media -> 'duration') = 'number' AS has_duration,
                     (v.created_at AT TIME ZONE 'UTC')::date AS created) AS facts,
             LATERAL (VALUES
                 (NULL::date, 'source_bytes', CASE WHEN stored THEN v.size_bytes ELSE 0 END),
                 (NULL, 'working_copy_bytes', CASE WHEN stored THEN (
                     SELECT coalesce(sum(copy.value::bigint), 0)::bigint FROM jsonb_each_text(v.working_copies) AS copy
                 ) ELSE 0 END),
                 (NULL, 'videos', CASE WHEN shown THEN 1 ELSE 0 END),
                 (created, 'videos_added', 1),
                 (created, 'source_ms', CASE WHEN has_duration
                     THEN round((v.media ->> 'duration')::numeric * 1000)::bigint ELSE 0 END)
             ) AS amounts (day, kind, amount)
    """,
    "generation": """
        SELECT video.owner_id, amounts.day, amounts.kind, amounts.amount::bigint
        FROM videos_video AS video,
             LATERAL (SELECT (v.created_at AT TIME ZONE 'UTC')::date AS created) AS facts,
             LATERAL (VALUES
                 (NULL::date, 'segment_bytes', CASE WHEN v.released THEN 0 ELSE v.segment_bytes END),
                 (NULL, 'asset_bytes', CASE WHEN v.released THEN 0 ELSE v.asset_bytes END),
                 (created, 'encoded_audio_ms', v.encoded_audio_ms),
                 (created, 'encoded_sd_ms', v.encoded_sd_ms),
                 (created, 'encoded_hd_ms', v.encoded_hd_ms),
                 (created, 'encoded_uhd_ms', v.encoded_uhd_ms)
             ) AS amounts (day, kind, amount)
        WHERE video.id = v.video_id
    """,
    "thumbnails": """
        SELECT video.owner_id, NULL::date, 'thumbnail_bytes', v.size_bytes
        FROM videos_video AS video WHERE video.id = v.video_id
    """,
    "text": """
        SELECT video.owner_id, NULL::date, 'text_bytes', octet_length(v.webvtt)::bigint
        FROM videos_video AS video WHERE video.id = v.video_id
    """,
    "watermarkimage": """
        SELECT v.owner_id, NULL::date, 'watermark_bytes',
               CASE WHEN v.deleted_at IS NULL THEN octet_length(v.data)::bigint ELSE 0 END
    """,
}


def _counted(table: str, amounts: str) -> str:
    """Return SQL that counts the changes of a table by the amounts of its rows."""
    return f"""
    CREATE FUNCTION videos_{table}_amounts(v videos_{table})
    RETURNS TABLE (owner_id uuid, day date, kind text, amount bigint) LANGUAGE sql STABLE AS $$ {amounts} $$;

    CREATE FUNCTION videos_{table}_usage() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO videos_usageentry (owner_id, day, kind, amount)
            SELECT owner_id, coalesce(day, {_TODAY}), kind, amount
            FROM videos_{table}_amounts(NEW) WHERE amount <> 0;
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO videos_usageentry (owner_id, day, kind, amount)
            SELECT owner_id, coalesce(day, {_TODAY}), kind, -amount
            FROM videos_{table}_amounts(OLD) WHERE amount <> 0;
        ELSE
            INSERT INTO videos_usageentry (owner_id, day, kind, amount)
            SELECT owner_id, coalesce(day, {_TODAY}), kind, sum(amount)
            FROM (SELECT owner_id, day, kind, amount FROM videos_{table}_amounts(NEW)
                  UNION ALL
                  SELECT owner_id, day, kind, -amount FROM videos_{table}_amounts(OLD)) AS changes
            GROUP BY owner_id, day, kind HAVING sum(amount) <> 0;
        END IF;
        RETURN NULL;
    END $$;

    CREATE TRIGGER videos_{table}_usage AFTER INSERT OR UPDATE OR DELETE ON videos_{table}
    FOR EACH ROW EXECUTE FUNCTION videos_{table}_usage();
    """  # noqa: S608 - put together from constants


def _uncounted(table: str) -> str:
    return f"""
    DROP TRIGGER videos_{table}_usage ON videos_{table};
    DROP FUNCTION videos_{table}_usage();
    DROP FUNCTION videos_{table}_amounts(videos_{table});
    """


_RUN_SUMS = """
    SELECT rendition.generation_id,
           sum(bytes) AS bytes,
           coalesce(sum(ms) FILTER (WHERE class = 'audio'), 0) AS audio,
           coalesce(sum(ms) FILTER (WHERE class = 'sd'), 0) AS sd,
           coalesce(sum(ms) FILTER (WHERE class = 'hd'), 0) AS hd,
           coalesce(sum(ms) FILTER (WHERE class = 'uhd'), 0) AS uhd
    FROM {runs} AS run JOIN videos_rendition AS rendition ON rendition.id = run.rendition_id,
         LATERAL (SELECT coalesce(sum(size), 0)::bigint AS bytes FROM unnest(run.sizes) AS size) AS sizes,
         LATERAL (SELECT round(sum(ticks) * 1000.0 / rendition.timescale)::bigint AS ms
                  FROM unnest(run.durations) AS ticks) AS durations,
         LATERAL (SELECT CASE WHEN rendition.kind = 'audio' THEN 'audio'
                              WHEN coalesce(least(rendition.width, rendition.height), 0) < 720 THEN 'sd'
                              WHEN least(rendition.width, rendition.height) <= 1080 THEN 'hd'
                              ELSE 'uhd' END AS class) AS classes
    WHERE {where}
    GROUP BY rendition.generation_id
"""

_RUNS = f"""
    CREATE FUNCTION videos_segmentrun_usage() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP <> 'INSERT' THEN
            UPDATE videos_generation SET segment_bytes = segment_bytes - gone.bytes
            FROM ({_RUN_SUMS.format(runs="old_runs", where="true")}) AS gone
            WHERE videos_generation.id = gone.generation_id;
        END IF;
        IF TG_OP <> 'DELETE' THEN
            UPDATE videos_generation
            SET segment_bytes = segment_bytes + come.bytes,
                encoded_audio_ms = encoded_audio_ms + come.audio * (TG_OP = 'INSERT')::int,
                encoded_sd_ms = encoded_sd_ms + come.sd * (TG_OP = 'INSERT')::int,
                encoded_hd_ms = encoded_hd_ms + come.hd * (TG_OP = 'INSERT')::int,
                encoded_uhd_ms = encoded_uhd_ms + come.uhd * (TG_OP = 'INSERT')::int
            FROM ({_RUN_SUMS.format(runs="new_runs", where="true")}) AS come
            WHERE videos_generation.id = come.generation_id;
        END IF;
        RETURN NULL;
    END $$;

    CREATE TRIGGER videos_segmentrun_published AFTER INSERT ON videos_segmentrun
    REFERENCING NEW TABLE AS new_runs FOR EACH STATEMENT EXECUTE FUNCTION videos_segmentrun_usage();
    CREATE TRIGGER videos_segmentrun_changed AFTER UPDATE ON videos_segmentrun
    REFERENCING OLD TABLE AS old_runs NEW TABLE AS new_runs
    FOR EACH STATEMENT EXECUTE FUNCTION videos_segmentrun_usage();
    CREATE TRIGGER videos_segmentrun_deleted AFTER DELETE ON videos_segmentrun
    REFERENCING OLD TABLE AS old_runs FOR EACH STATEMENT EXECUTE FUNCTION videos_segmentrun_usage();

    CREATE FUNCTION videos_asset_usage() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP <> 'INSERT' THEN
            UPDATE videos_generation SET asset_bytes = asset_bytes - OLD.size_bytes WHERE id = OLD.generation_id;
        END IF;
        IF TG_OP <> 'DELETE' THEN
            UPDATE videos_generation SET asset_bytes = asset_bytes + NEW.size_bytes WHERE id = NEW.generation_id;
        END IF;
        RETURN NULL;
    END $$;

    CREATE TRIGGER videos_asset_usage AFTER INSERT OR UPDATE OR DELETE ON videos_asset
    FOR EACH ROW EXECUTE FUNCTION videos_asset_usage();
"""  # noqa: S608 - put together from constants

_NO_RUNS = """
    DROP TRIGGER videos_segmentrun_published ON videos_segmentrun;
    DROP TRIGGER videos_segmentrun_changed ON videos_segmentrun;
    DROP TRIGGER videos_segmentrun_deleted ON videos_segmentrun;
    DROP FUNCTION videos_segmentrun_usage();
    DROP TRIGGER videos_asset_usage ON videos_asset;
    DROP FUNCTION videos_asset_usage();
"""

# The lock comes first: a publisher that waits for it adds what the sums do not see yet. What was encoded is never
# counted down, since the runs of deleted renditions are gone.
_RECOUNT = f"""
    CREATE FUNCTION videos_generation_recount(recounted uuid) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM FROM videos_generation WHERE id = recounted FOR NO KEY UPDATE;
        UPDATE videos_generation
        SET segment_bytes = coalesce(published.bytes, 0),
            asset_bytes = (
                SELECT coalesce(sum(size_bytes), 0) FROM videos_asset WHERE generation_id = recounted
            ),
            encoded_audio_ms = greatest(encoded_audio_ms, published.audio),
            encoded_sd_ms = greatest(encoded_sd_ms, published.sd),
            encoded_hd_ms = greatest(encoded_hd_ms, published.hd),
            encoded_uhd_ms = greatest(encoded_uhd_ms, published.uhd)
        FROM (SELECT 1) AS one
        LEFT JOIN ({_RUN_SUMS.format(runs="videos_segmentrun", where="rendition.generation_id = recounted")})
            AS published ON true
        WHERE id = recounted;
    END $$;
"""  # noqa: S608 - put together from constants

# One statement, so that counters and rows are those of the same moment.
_DIFFERENCES = """
    CREATE FUNCTION videos_usage_differences(one_owner uuid)
    RETURNS TABLE (owner_id uuid, day date, kind text, counted bigint, actual bigint) LANGUAGE sql STABLE AS $$
        SELECT every.owner_id, every.day, every.kind, sum(every.counted)::bigint, sum(every.actual)::bigint
        FROM (
            SELECT owner_id, NULL::date AS day, kind, amount AS counted, 0 AS actual
            FROM (SELECT owner_id, kind, amount FROM videos_usagetotal
                  UNION ALL
                  SELECT owner_id, kind, amount FROM videos_usageentry) AS now
            WHERE kind = 'videos' OR kind LIKE '%_bytes'
            UNION ALL
            SELECT owner_id, day, kind, amount, 0
            FROM (SELECT owner_id, day, kind, amount FROM videos_usageday
                  UNION ALL
                  SELECT owner_id, day, kind, amount FROM videos_usageentry) AS came
            WHERE kind <> 'videos' AND kind NOT LIKE '%_bytes'
            UNION ALL
            SELECT owner_id, day, kind, 0, amount FROM (
{rows}
            ) AS amounts
        ) AS every
        WHERE one_owner IS NULL OR every.owner_id = one_owner
        GROUP BY every.owner_id, every.day, every.kind
        HAVING sum(every.counted) <> sum(every.actual)
    $$;
""".replace(
    "{rows}",
    "\nUNION ALL\n".join(
        f"SELECT amounts.owner_id, amounts.day, amounts.kind, amounts.amount"  # noqa: S608 - constants
        f" FROM videos_{table} AS counted, LATERAL videos_{table}_amounts(counted) AS amounts"
        for table in _AMOUNTS
    ),
)

_CREATE = "\n".join([*(_counted(table, amounts) for table, amounts in _AMOUNTS.items()), _RUNS, _RECOUNT, _DIFFERENCES])
_DROP = "\n".join(
    [
        "DROP FUNCTION videos_usage_differences(uuid);",
        "DROP FUNCTION videos_generation_recount(uuid);",
        _NO_RUNS,
        *(_uncounted(table) for table in _AMOUNTS),
    ]
)


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0004_names"),
        ("videos", "0025_imports"),
    ]

    operations = [
        migrations.AddField(
            model_name="generation",
            name="asset_bytes",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="generation",
            name="encoded_audio_ms",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="generation",
            name="encoded_hd_ms",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="generation",
            name="encoded_sd_ms",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="generation",
            name="encoded_uhd_ms",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="generation",
            name="released",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="generation",
            name="segment_bytes",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="video",
            name="working_copies",
            field=models.JSONField(db_default={}, default=dict),
        ),
        migrations.CreateModel(
            name="UsageEntry",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("day", models.DateField()),
                ("kind", models.TextField()),
                ("amount", models.BigIntegerField()),
                (
                    "owner",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="access.owner",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="UsageTotal",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("kind", models.TextField()),
                ("amount", models.BigIntegerField()),
                (
                    "owner",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="access.owner",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("owner", "kind"), name="videos_usagetotal_once")],
            },
        ),
        migrations.CreateModel(
            name="UsageDay",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("day", models.DateField()),
                ("kind", models.TextField()),
                ("amount", models.BigIntegerField()),
                (
                    "owner",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="access.owner"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("owner", "day", "kind"), name="videos_usageday_once")],
            },
        ),
        migrations.RunSQL(_CREATE, _DROP),
    ]
