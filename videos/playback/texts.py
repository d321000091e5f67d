"""The texts of a generation, on its timeline: what manifests list, playlists and segments."""

from fractions import Fraction

from transcoding.manifests.hls.media import target_seconds, webvtt_playlist
from transcoding.manifests.variants import TextVariant
from transcoding.planning.plan import EncodePlan
from transcoding.texts.cues import Cues
from transcoding.texts.webvtt import webvtt, webvtt_segment
from videos.models import Generation, Text
from videos.selectors import published_durations
from videos.states import GenerationState, TextOrigin
from videos.texts.selectors import TextFile, ready_texts, text_cues, text_file_facts
from videos.texts.serializers import text_label


def generation_texts(generation: Generation, plan: EncodePlan) -> list[TextVariant]:
    """List the texts as manifests describe them; none while the end of the video is not known.

    The one that is burned in would be shown twice.
    """
    if plan.grid.is_open:
        return []
    return [
        TextVariant(
            name=text.name,
            language=text.language,
            label=text_label(text),
            default=text.is_default,
            forced=text.forced,
            captions=text.captions,
        )
        for text in ready_texts([generation.video_id])
        if plan.burn_in is None or plan.burn_in.text != str(text.id)
    ]


def text_file(text: Text, plan: EncodePlan) -> str:
    """Render a whole text on the timeline of a plan's outputs."""
    return webvtt(_cues(text, plan))


def measured_text(text: Text, plan: EncodePlan) -> TextFile:
    """Return size and digest of what `text_file` renders."""
    return text_file_facts(text.id, _first(text, plan))


def text_playlist(generation: Generation) -> str:
    """Render the HLS playlist of any text: it has as many segments as the first rendition, so far or for good."""
    plan = generation.encode_plan
    leading = generation.renditions.order_by("position")[0]
    durations = [Fraction(ticks, leading.timescale) for ticks in published_durations(leading)]
    target = target_seconds(plan.grid.segment_seconds)
    complete = generation.state == GenerationState.COMPLETE
    return webvtt_playlist(durations, target_seconds=target, complete=complete)


def text_segment(text: Text, plan: EncodePlan, number: int) -> str | None:
    """Render a segment. None: the video has no such segment."""
    if plan.grid.is_open or number >= plan.total_segments:
        return None
    shown = _cues(text, plan).shown_between(plan.grid.start(number), plan.grid.start(number + 1))
    return webvtt_segment(shown)


def _cues(text: Text, plan: EncodePlan) -> Cues:
    return text_cues(text.id, _first(text, plan))


def _first(text: Text, plan: EncodePlan) -> Fraction:
    """Return the time at which the outputs begin, on the clock of the text."""
    return plan.text_start(embedded=text.origin == TextOrigin.EMBEDDED)
