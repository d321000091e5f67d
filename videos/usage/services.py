"""Adding up the changes that triggers recorded."""

from django.db import connection

FOLDED_AT_A_TIME = 10_000
_MAX_FOLDS = 100
"""Of one pass: a million changes."""

# Rows in order, so that two that fold at once do not wait for each other in a circle.
_FOLD = """
WITH moved AS (
    DELETE FROM videos_usageentry WHERE id IN (
        SELECT id FROM videos_usageentry ORDER BY id LIMIT %(at_a_time)s FOR UPDATE SKIP LOCKED
    ) RETURNING owner_id, day, kind, amount
), known AS (
    SELECT moved.* FROM moved JOIN access_owner ON access_owner.id = moved.owner_id
), days AS (
    INSERT INTO videos_usageday AS sums (owner_id, day, kind, amount)
    SELECT owner_id, day, kind, sum(amount) FROM known GROUP BY owner_id, day, kind ORDER BY owner_id, day, kind
    ON CONFLICT (owner_id, day, kind) DO UPDATE SET amount = sums.amount + excluded.amount
), totals AS (
    INSERT INTO videos_usagetotal AS sums (owner_id, kind, amount)
    SELECT owner_id, kind, sum(amount) FROM known GROUP BY owner_id, kind ORDER BY owner_id, kind
    ON CONFLICT (owner_id, kind) DO UPDATE SET amount = sums.amount + excluded.amount
)
SELECT count(*) FROM moved
"""


def usage_fold(*, at_a_time: int = FOLDED_AT_A_TIME) -> int:
    """Add changes to the sums, each of them once, and return their number. What is left is for the next pass."""
    folded = 0
    for _ in range(_MAX_FOLDS):
        with connection.cursor() as cursor:
            cursor.execute(_FOLD, {"at_a_time": at_a_time})
            (count,) = cursor.fetchone()
        folded += count
        if count < at_a_time:
            break
    return folded
