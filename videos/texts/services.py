"""Writes to texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import QuerySet

from access.models import Owner
from api.problems import Problem, not_found
from events.types import EventType
from transcoding.languages import UNDETERMINED, language_tag
from transcoding.probing.streams import StreamFacts
from transcoding.probing.warnings import Notice, SourceWarning
from transcoding.texts.cues import Cues
from transcoding.texts.webvtt import webvtt
from videos.models import Text, Video
from videos.selectors import videos_of
from videos.services import video_unwarn, video_urls_changed, video_warn
from videos.states import TextOrigin, TextState, VideoState
from videos.texts.events import text_event_append
from videos.texts.selectors import UNREADABLE, pending_texts, texts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLabels:
    """Labels of a text, by which players show and choose it. `language` is a BCP 47 tag."""

    language: str
    label: str = ""
    default: bool = False
    forced: bool = False
    captions: bool = False


@transaction.atomic
def text_create(*, owner: Owner, video_id: UUID, cues: Cues, labels: TextLabels, max_texts: int) -> Text:
    """Add an uploaded text to a video, which players get at once. A new default takes the place of the old one.

    Raises Problem: 404 not the owner's, 409 rejected, or it has `max_texts` already.
    """
    video = _owned_video_lock(owner, video_id)
    if video.state == VideoState.REJECTED:
        raise Problem(status=409, code="video_rejected", detail="The video was rejected: it will never play.")
    if Text.objects.filter(video=video).count() >= max_texts:
        detail = f"A video may have {max_texts} texts. Delete one first."
        raise Problem(status=409, code="too_many_texts", detail=detail)
    if labels.default:
        Text.objects.filter(video=video, is_default=True).update(is_default=False)
    text_id = uuid4()
    text = Text.objects.create(
        id=text_id,
        video=video,
        name=text_name(labels.language, text_id),
        language=labels.language,
        label=labels.label,
        is_default=labels.default,
        forced=labels.forced,
        captions=labels.captions,
        webvtt=webvtt(cues),
        cue_count=len(cues),
    )
    text.refresh_from_db(fields=["created_at"])
    video_urls_changed(video)
    for happened in (EventType.VIDEO_TEXT_ADDED, EventType.VIDEO_TEXT_READY):
        text_event_append(video=video, text=text, type=happened)
    return text


@transaction.atomic
def text_delete(*, owner: Owner, video_id: UUID, text_id: UUID) -> None:
    """Delete a text. Players that open the video from now on do not get it. Raises Problem: 404 not the owner's."""
    video = _owned_video_lock(owner, video_id)
    text = text_of(video, text_id)
    _delete(video, text)
    _count_unreadable(video)
    video_urls_changed(video)


def _delete(video: Video, text: Text) -> None:
    Text.objects.filter(id=text.id).delete()
    text_event_append(video=video, text=text, type=EventType.VIDEO_TEXT_DELETED)


def text_of(video: Video, text_id: UUID) -> Text:
    """Find a text of a video. Raises Problem (404)."""
    text = texts_of(video).filter(id=text_id).first()
    if text is None:
        raise not_found("text")
    return text


def texts_announce(*, video: Video, streams: Sequence[StreamFacts], max_texts: int) -> bool:
    """Record the texts that lie in the file of a locked video. False: none of them is left to extract.

    Files mark most of their subtitles as the default: none of them is here.
    """
    known = set(Text.objects.filter(video=video, stream__isnull=False).values_list("stream", flat=True))
    room = max(0, max_texts - Text.objects.filter(video=video).count())
    fresh = [stream for stream in streams if stream.index not in known][:room]
    for text in Text.objects.bulk_create(_embedded(video, stream) for stream in fresh):
        text_event_append(video=video, text=text, type=EventType.VIDEO_TEXT_ADDED)
    video_urls_changed(video)
    return pending_texts(video).exists()


def _embedded(video: Video, stream: StreamFacts) -> Text:
    text_id, language = uuid4(), language_tag(stream.language) or UNDETERMINED
    return Text(
        id=text_id,
        video=video,
        name=text_name(language, text_id),
        language=language,
        forced=stream.forced,
        captions=stream.captions,
        origin=TextOrigin.EMBEDDED.value,
        stream=stream.index,
        state=TextState.PENDING.value,
    )


def texts_fill(*, video: Video, found: Mapping[UUID, Cues | str | None]) -> None:
    """Record what became of embedded texts of a locked video: their cues, or the reason why there are none.

    Those that turn out to say nothing at all, as None, are no texts.
    """
    for text in pending_texts(video).filter(id__in=found):
        outcome = found[text.id]
        if outcome is None:
            _delete(video, text)
        else:
            _end(video, text, **(_failed(UNREADABLE, outcome) if isinstance(outcome, str) else _extracted(outcome)))
    _count_unreadable(video)
    video_urls_changed(video)


def texts_give_up(*, video: Video, code: str, reason: str) -> None:
    """Record that the embedded texts of a locked video cannot be extracted. They may be requested again."""
    for text in pending_texts(video):
        _end(video, text, **_failed(code, reason or "it was not extracted"))
    _count_unreadable(video)
    video_urls_changed(video)


def texts_mark_pending(*, video: Video, texts: QuerySet[Text]) -> None:
    """Record that failed texts of a locked video are to be extracted again."""
    texts.update(state=TextState.PENDING, error_code="", error_detail="")
    _count_unreadable(video)
    video_urls_changed(video)


def _end(video: Video, text: Text, **outcome: str | int) -> None:
    """Record what became of a pending text."""
    for name, value in outcome.items():
        setattr(text, name, value)
    text.save(update_fields=list(outcome))
    ready = text.state == TextState.READY
    happened = EventType.VIDEO_TEXT_READY if ready else EventType.VIDEO_TEXT_FAILED
    text_event_append(video=video, text=text, type=happened)


def _failed(code: str, reason: str) -> dict[str, str | int]:
    return {"state": TextState.FAILED.value, "error_code": code, "error_detail": reason}


def _extracted(cues: Cues) -> dict[str, str | int]:
    return {"state": TextState.READY.value, "webvtt": webvtt(cues), "cue_count": len(cues)}


def _count_unreadable(video: Video) -> None:
    """Keep the warning about failed texts true."""
    if failed := Text.objects.filter(video=video, state=TextState.FAILED).count():
        video_warn(video=video, warning=Notice(code=SourceWarning.TEXT_UNREADABLE, count=failed))
    else:
        video_unwarn(video=video, code=SourceWarning.TEXT_UNREADABLE)


def text_name(language: str, text_id: UUID) -> str:
    """Return a name that no other text of the video has, nor had."""
    return f"{language}-{text_id.hex[:12]}".lower()


def _owned_video_lock(owner: Owner, video_id: UUID) -> Video:
    video = videos_of(owner).filter(id=video_id).select_for_update(no_key=True).first()
    if video is None:
        raise not_found("video")
    return video
