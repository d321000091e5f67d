"""Requests to extract the texts in the file of a video."""

from jobs.changes.endings import steps_cancel
from jobs.changes.video_steps import video_step_create
from jobs.rules.steps import StepKind
from transcoding.probing.facts import SourceFacts
from transcoding.probing.texts import embedded_texts
from videos.models import Video
from videos.texts.selectors import pending_texts
from videos.texts.services import texts_announce, texts_give_up


def texts_request(*, video: Video, facts: SourceFacts, max_texts: int) -> None:
    """Request the texts of a locked video that was just inspected, if its file has any.

    The step has the rank of a job of the lowest priority.
    """
    if texts_announce(video=video, streams=embedded_texts(facts), max_texts=max_texts):
        video_step_create(video=video, kind=StepKind.TEXT)


def texts_cancel(*, video: Video, reason: str) -> None:
    """Cancel the extraction of a locked video whose source goes. Texts that are not there yet never will be."""
    steps_cancel(video=video, kind=StepKind.TEXT)
    if pending_texts(video).exists():
        texts_give_up(video=video, reason=reason)
