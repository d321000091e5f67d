"""The tracks of a source that a request names, by their numbers in the uploaded file."""

from collections.abc import Sequence
from dataclasses import replace

from transcoding.errors import TrackUnknown, UnknownVersion
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import AudioStream


def with_video(facts: SourceFacts, number: int | None) -> SourceFacts:
    """Return the facts with this video track in place of the chosen one.

    Raises TrackUnknown, and UnknownVersion where an earlier version of the program inspected the video.
    """
    chosen = facts.video_stream.source_index if facts.video_stream else None
    if number in (None, chosen):
        return facts
    named = next((each for each in facts.others if each.video.source_index == number), None)
    if named is None:
        raise _unknown(facts, "video_stream", number, [chosen, *(o.video.source_index for o in facts.others)])
    streams = tuple(
        replace(each, used=each.index == number or (each.used and each.index != chosen)) for each in facts.streams
    )
    return replace(named, streams=streams, audio=facts.audio)


def named_audio(facts: SourceFacts, numbers: Sequence[int] | None) -> tuple[AudioStream, ...]:
    """Return the audio tracks to encode, the one that players begin with first.

    Raises TrackUnknown for a track that is not there, and for none of them where there is nothing else; UnknownVersion
    as `with_video` does.
    """
    if numbers is None:
        return facts.audio
    if not numbers and not facts.has_video:
        raise TrackUnknown("the file has no video track; name at least one audio track", field="audio_streams")
    tracks = {track.source_index: track for track in facts.audio}
    if unknown := [number for number in numbers if number not in tracks]:
        raise _unknown(facts, "audio_streams", unknown[0], list(tracks))
    return tuple(tracks[number] for number in numbers)


def _unknown(
    facts: SourceFacts, field: str, number: int | None, known: Sequence[int | None]
) -> TrackUnknown | UnknownVersion:
    if not facts.numbers_tracks:
        return UnknownVersion(
            "an earlier version of the program inspected the video, and did not list its tracks: it has to be inspected"
            " again"
        )
    kind = field.partition("_")[0]
    choices = ", ".join(str(each) for each in known if each is not None) or "none"
    return TrackUnknown(
        f"stream {number} is no {kind} track that can be transcoded; name one of: {choices}", field=field
    )
