"""Names of audio tracks and texts for people, as players list them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from transcoding.languages import language_name
from transcoding.planning.tracks import AudioRendition
from transcoding.probing.streams import AudioRole

_ROLES: Mapping[AudioRole, str] = MappingProxyType(
    {
        AudioRole.DUB: "dubbed",
        AudioRole.COMMENTARY: "commentary",
        AudioRole.DESCRIPTION: "audio description",
        AudioRole.CLEAR_SPEECH: "clear speech",
    }
)


def audio_labels(tracks: Sequence[AudioRendition]) -> dict[str, str]:
    """Return the label of each track by its name: language and role, as far as they are known, else the name.

    The second of equal labels gets a number, so that all of a group differ. Surround is a group of its own, with the
    labels of stereo.
    """
    labels: dict[str, str] = {}
    used: Counter[tuple[str, bool]] = Counter()
    for track in tracks:
        label = _label(track)
        used[label, track.surround] += 1
        number = used[label, track.surround]
        labels[track.name] = label if number == 1 else f"{label} {number}"
    return labels


def default_text_label(language: str, *, forced: bool, captions: bool) -> str:
    """Return the label of a text that its owner gave none: its language, by a BCP 47 tag, and its purpose."""
    purposes = [*(["forced"] if forced else []), *(["SDH"] if captions else [])]
    return ", ".join([language_name(language), *purposes])


def _label(track: AudioRendition) -> str:
    language, role = language_name(track.language), _ROLES.get(track.role, "")
    if language and role:
        return f"{language}, {role}"
    return language or role.capitalize() or track.name
