"""Writes to texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.db import transaction

from access.models import Owner
from api.problems import Problem, not_found
from coordination.wiring import invalidate
from transcoding.languages import UNDETERMINED, language_tag
from transcoding.probing.streams import StreamFacts
from transcoding.probing.warnings import Notice, SourceWarning
from transcoding.texts.cues import Cues
from transcoding.texts.webvtt import webvtt
from videos.models import Generation, Text, Video
from videos.selectors import videos_of
from videos.services import video_warn
from videos.states import TextOrigin, TextState, VideoState
from videos.texts.selectors import pending_texts


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
    texts_changed(video)
    return text


@transaction.atomic
def text_delete(*, owner: Owner, video_id: UUID, text_id: UUID) -> None:
    """Delete a text. Players that open the video from now on do not get it. Raises Problem: 404 not the owner's."""
    video = _owned_video_lock(owner, video_id)
    if not Text.objects.filter(video=video, id=text_id).delete()[0]:
        raise not_found("text")
    texts_changed(video)


def texts_announce(*, video: Video, streams: Sequence[StreamFacts], max_texts: int) -> bool:
    """Record the texts that lie in the file of a locked video. False: none of them is left to extract.

    Files mark most of their subtitles as the default: none of them is here.
    """
    known = set(Text.objects.filter(video=video, stream__isnull=False).values_list("stream", flat=True))
    room = max(0, max_texts - Text.objects.filter(video=video).count())
    fresh = [stream for stream in streams if stream.index not in known][:room]
    Text.objects.bulk_create(_embedded(video, stream) for stream in fresh)
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
    for text_id, cues in found.items():
        pending = pending_texts(video).filter(id=text_id)
        if cues is None:
            pending.delete()
        else:
            pending.update(**_outcome(cues))
    texts_changed(video)
    if failed := Text.objects.filter(video=video, state=TextState.FAILED).count():
        video_warn(video=video, warning=Notice(code=SourceWarning.TEXT_UNREADABLE, count=failed))


def texts_give_up(*, video: Video, reason: str) -> None:
    """Record that the embedded texts of a locked video cannot be extracted."""
    pending = pending_texts(video).values_list("id", flat=True)
    texts_fill(video=video, found=dict.fromkeys(pending, reason or "it was not extracted"))


def _outcome(cues: Cues | str) -> dict[str, object]:
    if isinstance(cues, str):
        return {"state": TextState.FAILED, "error_detail": cues}
    return {"state": TextState.READY, "webvtt": webvtt(cues), "cue_count": len(cues)}


def text_name(language: str, text_id: UUID) -> str:
    """Return a name that no other text of the video has, nor had."""
    return f"{language}-{text_id.hex[:12]}".lower()


def texts_changed(video: Video) -> None:
    """Invalidate the documents that list the texts of a video: the outputs of its jobs."""
    jobs = Generation.objects.filter(video=video).values_list("job_id", flat=True)
    if documents := [f"outputs:{job}" for job in set(jobs)]:
        invalidate(*documents)


def _owned_video_lock(owner: Owner, video_id: UUID) -> Video:
    video = videos_of(owner).filter(id=video_id).select_for_update(no_key=True).first()
    if video is None:
        raise not_found("video")
    return video
