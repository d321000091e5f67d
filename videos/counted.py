"""Writes of what counts as stored beside the rows of objects themselves (see `videos.models.usage`)."""

from uuid import UUID

from django.db import connection

from videos.models import Generation

_ADD_WORKING_COPY = """
UPDATE videos_video SET working_copies = working_copies || jsonb_build_object(%(name)s::text, %(size)s::bigint)
WHERE id = %(video)s
"""


def generations_release(*, video_id: UUID, number: int | None = None) -> None:
    """Stop counting the objects of a generation, or of all those of a video, whose rows stay.

    Their rows are locked: what a publisher adds at this moment goes with them.
    """
    generations = Generation.objects.filter(video=video_id, released=False)
    if number is not None:
        generations = generations.filter(number=number)
    generations.update(released=True)


def working_copy_stored(*, video_id: UUID, name: str, size_bytes: int) -> None:
    """Record a copy of the source that is stored under a name after the prefix of the video. May be repeated."""
    with connection.cursor() as cursor:
        cursor.execute(_ADD_WORKING_COPY, {"video": video_id, "name": name, "size": size_bytes})
