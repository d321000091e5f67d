"""Throughput of a queue's workers, measured on the chunks that they have encoded."""

from django.db import connection

from jobs.rules.steps import MEASURED_KINDS
from transcoding.planning.sizing import Throughput

_MIN_SAMPLES = 3
"""Fewest chunks that a median is taken of: a single one may have shared its machine with other work."""

# Bounded: the newest chunks of the queue by its partial index, then those among them that are alike. Runs of less than
# a second say more about starting ffmpeg than about encoding.
_MEASURED = """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY pixels / seconds), count(*) FROM (
    SELECT (result->>'pixels')::float8 AS pixels, (result->>'seconds')::float8 AS seconds FROM (
        SELECT result FROM jobs_step
        WHERE kind = ANY(%(kinds)s) AND state = 'done' AND queue = %(queue)s
        ORDER BY finished_at DESC LIMIT 200
    ) newest
    WHERE result->>'encoder' = %(encoder)s AND result->>'preset' = %(preset)s AND (result->>'seconds')::float8 >= 1
    LIMIT 50
) alike
"""


def throughput_measured(*, queue: str, encoder: str, preset: str) -> Throughput | None:
    """Return the throughput of one slot with this encoder and preset: the median of recent chunks. None: too few."""
    with connection.cursor() as cursor:
        cursor.execute(_MEASURED, {"kinds": list(MEASURED_KINDS), "queue": queue, "encoder": encoder, "preset": preset})
        pixels_per_second, samples = cursor.fetchone()
    if samples < _MIN_SAMPLES:
        return None
    return Throughput(pixels_per_second=max(1, int(pixels_per_second)), samples=samples)
