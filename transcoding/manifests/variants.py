"""A presentation as manifests describe it: what players choose from.

HLS and DASH are rendered from one value. Another kind of track is another list here, a function in `hls.master` and one
in `dash.adaptation`.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self

from transcoding.color import ColorSpace, VideoRange
from transcoding.probing.streams import AudioRole

AUDIO_GROUP = "audio"
TEXT_GROUP = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class IFrames:
    """The key frames of a video rendition as a variant of their own. Bandwidths in bits per second."""

    peak_bandwidth: int
    average_bandwidth: int | None
    """None: nobody measured it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoVariant:
    """One video rendition. Bandwidths in bits per second, without the audio's."""

    name: str
    width: int
    height: int
    frame_rate: Fraction
    codecs: str
    peak_bandwidth: int
    average_bandwidth: int
    folder: str = ""
    """Relative URL of the folder of its generation, where that is another one than the presentation's: "../2/"."""
    color: ColorSpace | None = None
    """The color space, where the source has high dynamic range."""
    video_range: VideoRange | None = None
    """The dynamic range, where it is known."""
    iframes: IFrames | None = None
    """None: there is no list of its key frames."""

    @property
    def sample_entry(self) -> str:
        """The sample entry in its CODECS string, which says how frames are coded."""
        return self.codecs.partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioVariant:
    """One audio rendition; the language is a BCP 47 tag, or empty. Bandwidths in bits per second."""

    name: str
    language: str
    default: bool
    codecs: str
    channels: int
    peak_bandwidth: int
    average_bandwidth: int
    group: str = AUDIO_GROUP
    """Renditions of one group have one codec and as many channels; each video goes with each group."""
    label: str = ""
    """Its name for people, unique in its group. Empty: `name`."""
    role: AudioRole = AudioRole.MAIN
    folder: str = ""
    """As of a `VideoVariant`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextVariant:
    """Subtitles in a language, in WebVTT. Those that are `forced` are shown to everybody, others on request."""

    name: str
    language: str
    """A tag by BCP 47."""
    label: str
    """Its name for people."""
    default: bool
    """Players that show a text by themselves show this one. At most one is the default."""
    forced: bool
    captions: bool
    """They describe noises and music besides speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileVariant:
    """Sprite sheets: images at equal distances, which players show while somebody scrubs."""

    url: str
    """Relative to the manifest, with `$Number$` for the number of the sheet, from 0."""
    width: int
    height: int
    """Size of a sheet."""
    columns: int
    rows: int
    interval: Fraction
    """Distance of the images, in seconds."""
    bandwidth: int
    """Bits per second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """Everything that a player of one generation can choose from. Without video it has audio alone."""

    videos: tuple[VideoVariant, ...] = ()
    audio: tuple[AudioVariant, ...] = ()
    texts: tuple[TextVariant, ...] = ()
    tiles: TileVariant | None = None

    def in_folder(self, folder: str) -> Self:
        """Have the files of video and audio below a relative URL."""
        videos = tuple(replace(each, folder=f"{folder}{each.folder}") for each in self.videos)
        return replace(self, videos=videos, audio=tuple(replace(each, folder=folder) for each in self.audio))

    def starting_with(self, name: str) -> Self:
        """Have players begin with an audio rendition, and in other groups with the track like it.

        Raises KeyError for one that there is not.
        """
        first = {track.name: track for track in self.audio}[name]
        chosen = {first.group: name}
        for track in self.audio:
            if (track.language, track.role) == (first.language, first.role):
                chosen.setdefault(track.group, track.name)
        audio = (replace(track, default=chosen.get(track.group, "") == track.name) for track in self.audio)
        return replace(self, audio=tuple(audio))

    @property
    def audio_groups(self) -> tuple[tuple[AudioVariant, ...], ...]:
        """The audio renditions of each group, in the order of their first ones."""
        groups = dict.fromkeys(track.group for track in self.audio)
        return tuple(tuple(track for track in self.audio if track.group == group) for group in groups)
