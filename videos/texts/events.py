"""Events of texts."""

from events.log import video_event_append
from events.types import EventType
from videos.models import Text, Video
from videos.texts.serializers import text_error, text_label


def text_event_append(*, video: Video, text: Text, type: EventType) -> None:  # noqa: A002 - its column
    """Record what happened to a text of a locked video, in the transaction of the change."""
    about = {
        "id": str(text.id),
        "name": text.name,
        "language": text.language,
        "label": text_label(text),
        "forced": text.forced,
        "sdh": text.captions,
        "origin": text.origin,
        "stream": text.stream,
    }
    error = {"error": text_error(text)} if type == EventType.VIDEO_TEXT_FAILED else {}
    video_event_append(owner_id=video.owner_id, video_id=video.id, type=type, data={"text": about, **error})
