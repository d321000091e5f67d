from django.db import migrations

# A publisher waits for the totals of its generation, and for those of no other: each is committed before the next.
_GENERATIONS = """
DO $$
DECLARE
    counted uuid;
BEGIN
    FOR counted IN SELECT id FROM videos_generation LOOP
        PERFORM videos_generation_recount(counted);
        COMMIT;
    END LOOP;
END $$
"""

_OWNERS = """
INSERT INTO videos_usageentry (owner_id, day, kind, amount)
SELECT owner_id, coalesce(day, (statement_timestamp() AT TIME ZONE 'UTC')::date), kind, actual - counted
FROM videos_usage_differences(NULL)
"""


class Migration(migrations.Migration):
    """Counts what was there before the triggers. May be repeated, also beside processes that write."""

    atomic = False

    dependencies = [
        ("videos", "0026_usage"),
    ]

    operations = [
        migrations.RunSQL(_GENERATIONS, migrations.RunSQL.noop),
        migrations.RunSQL(_OWNERS, migrations.RunSQL.noop),
    ]
