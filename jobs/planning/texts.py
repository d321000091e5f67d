"""The subtitles that a request burns in."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from transcoding.errors import TextUnknown
from transcoding.languages import UNDETERMINED, language_tag
from transcoding.planning.burn_in import BurnIn
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import StreamFacts
from transcoding.probing.subtitles import is_of_images
from transcoding.probing.warnings import SourceWarning
from transcoding.texts.burning import is_drawable
from videos.models import Text, Video
from videos.states import TextOrigin, TextState
from videos.texts.selectors import text_cues, texts_of

_MENDED = frozenset({SourceWarning.TIMESTAMPS_RESTART, SourceWarning.PARTS_IGNORED})
"""Warnings about files whose copy has another clock, or other streams."""


def with_text(requested: JobRequest, video: Video) -> JobRequest:
    """Return the request with what is known of the subtitles of an inspected video that it burns in.

    Raises TextUnknown.
    """
    named = requested.burn_in
    if named is None or isinstance(named, BurnIn):
        return requested
    facts = SourceFacts.from_json(video.facts)
    images = next((each for each in facts.streams if is_of_images(each) and each.index == named.get("stream")), None)
    if images:
        return replace(requested, burn_in=_of_images(images, facts))
    text = _named(named, video)
    if not is_drawable(text_cues(text.id, Fraction(0))):
        raise TextUnknown("has more on the screen at once than can be drawn", field=f"burn_in.{next(iter(named))}")
    known = BurnIn(text=str(text.id), language=text.language, embedded=text.origin == TextOrigin.EMBEDDED)
    return replace(requested, burn_in=known)


def _of_images(stream: StreamFacts, facts: SourceFacts) -> BurnIn:
    """Describe subtitles of images. They have the clock of the file, which must be that of its copy."""
    if _MENDED & {warning.code for warning in facts.warnings}:
        raise TextUnknown("consists of images, and the clock of the file starts again", field="burn_in.stream")
    language = language_tag(stream.language) or UNDETERMINED
    return BurnIn(bitmaps=stream.index, language=language, embedded=True)


def _named(named: Mapping[str, Any], video: Video) -> Text:
    """Find a text by its id, its language or its stream; of several in a language, the default, else the first."""
    field = f"burn_in.{next(iter(named))}"
    texts = texts_of(video).order_by("-is_default", "origin", "stream", "created_at", "id")
    found = texts.filter(stream=named["stream"]) if "stream" in named else _of_words(texts, named["text"])
    states = {text.state: text for text in reversed(found)}
    if TextState.READY in states:
        return states[TextState.READY]
    if TextState.PENDING in states:
        raise TextUnknown("is not extracted yet: request it again in a moment", field=field)
    if TextState.FAILED in states:
        raise TextUnknown("is a text that cannot be read", field=field)
    choices = ", ".join(dict.fromkeys(text.language for text in texts)) or "there is none"
    raise TextUnknown(
        f"is no text of the video; its languages: {choices}. Subtitles of images are named by stream", field=field
    )


def _of_words(texts: QuerySet[Text], words: str) -> QuerySet[Text]:
    try:
        return texts.filter(id=UUID(words))
    except ValueError:
        return texts.filter(language=language_tag(words))
