"""Reads of texts. What a text says never changes, so that this process caches the ones that are played."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from uuid import UUID

from django.db.models import Prefetch, QuerySet, prefetch_related_objects

from transcoding.texts.cues import Cues
from transcoding.texts.webvtt import parse_webvtt, webvtt
from videos.models import Text, Video
from videos.states import TextOrigin, TextState

_CACHED_TEXTS = 16
"""Each may take 3 MB."""
_CACHED_FACTS = 4096
UNREADABLE = "text_unreadable"
"""Code of the error of a text whose stream holds nothing that can be shown."""
TEXTS = Prefetch("texts", Text.objects.defer("webvtt").order_by("origin", "stream", "created_at", "id"))
"""The texts of videos, in the order in which players have them, without what they say."""


def texts_of(video: Video) -> QuerySet[Text]:
    """Select the texts of a video, without what they say."""
    return Text.objects.filter(video=video).defer("webvtt")


def ready_texts(videos: Iterable[UUID]) -> QuerySet[Text]:
    """Select the texts of videos that players can have, in their order."""
    ready = Text.objects.filter(video__in=videos, state=TextState.READY)
    return ready.defer("webvtt").order_by("origin", "stream", "created_at", "id")


def with_texts(videos: Sequence[Video]) -> None:
    """Read the texts of videos that do not have them yet, with one query for all."""
    prefetch_related_objects(videos, TEXTS)


def failed_texts(video: Video) -> QuerySet[Text]:
    """Select the embedded texts of a video that could not be extracted."""
    return texts_of(video).filter(state=TextState.FAILED, origin=TextOrigin.EMBEDDED)


def pending_texts(video: Video) -> QuerySet[Text]:
    """Select the embedded texts of a video that are not extracted yet."""
    return texts_of(video).filter(state=TextState.PENDING)


def text_find(*, video_id: UUID, name: str) -> Text | None:
    """Find a text that players can have by its name."""
    return ready_texts([video_id]).filter(name=name).first()


@lru_cache(maxsize=_CACHED_TEXTS)
def text_cues(text_id: UUID, first: Fraction) -> Cues:
    """Return the cues of a text on a clock that starts so many seconds later than its own."""
    stored = Text.objects.values_list("webvtt", flat=True).get(id=text_id)
    return Cues.of(parse_webvtt(stored)).earlier(first)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """Facts about a file in WebVTT: bytes, and SHA-256 in hexadecimal."""

    size: int
    sha256: str


@lru_cache(maxsize=_CACHED_FACTS)
def text_file_facts(text_id: UUID, first: Fraction) -> TextFile:
    """Measure the file that players get of a text."""
    data = webvtt(text_cues(text_id, first)).encode()
    return TextFile(size=len(data), sha256=hashlib.sha256(data).hexdigest())
