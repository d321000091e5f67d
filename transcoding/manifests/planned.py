"""The presentation that a plan makes."""

from collections.abc import Mapping
from dataclasses import dataclass

from transcoding.languages import language_tag
from transcoding.manifests.labels import audio_labels
from transcoding.manifests.variants import AUDIO_GROUP, AudioVariant, IFrames, Presentation, VideoVariant
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import VideoRendition


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Rates of a rendition in bits per second, as measured when all of it was there. None: not yet, or never."""

    peak: int | None = None
    average: int | None = None
    iframes: IFrames | None = None
    """None: there is no list of key frames, or nobody measured them yet."""


NOT_MEASURED = Measured()


def planned_presentation(
    plan: EncodePlan, renditions: Mapping[str, Measured], *, growing_iframes: bool = False
) -> Presentation:
    """List what players choose from: those of `renditions`, by name.

    Rates that nobody measured are those that the plan promises. `growing_iframes`: the key frames that are published so
    far are listed, although nobody measured all of them.
    """
    labels = audio_labels(plan.audio)
    return Presentation(
        videos=tuple(
            VideoVariant(
                name=rung.name,
                width=rung.width,
                height=rung.height,
                frame_rate=plan.grid.rate,
                codecs=rung.codecs,
                peak_bandwidth=renditions[rung.name].peak or rung.peak_bandwidth,
                average_bandwidth=renditions[rung.name].average or rung.bitrate,
                color=plan.stated_color(rung),
                video_range=plan.stated_range(rung),
                iframes=renditions[rung.name].iframes or (_promised(plan, rung) if growing_iframes else None),
            )
            for rung in plan.renditions
            if rung.name in renditions
        ),
        audio=tuple(
            AudioVariant(
                name=track.name,
                language=language_tag(track.language),
                default=track.default,
                codecs=track.codecs,
                channels=track.channels,
                peak_bandwidth=renditions[track.name].peak or track.peak_bandwidth,
                average_bandwidth=renditions[track.name].average or track.bitrate,
                group=f"{AUDIO_GROUP}-surround" if track.surround else AUDIO_GROUP,
                label=labels[track.name],
                role=track.role,
            )
            for track in plan.audio
            if track.name in renditions
        ),
    )


def _promised(plan: EncodePlan, rung: VideoRendition) -> IFrames:
    """Return what is certain of key frames that are still to come: none is larger than the decoder's buffer."""
    gop_seconds = plan.grid.gop_frames / plan.grid.rate
    return IFrames(peak_bandwidth=min(rung.peak_bandwidth, int(rung.buffer_size / gop_seconds)), average_bandwidth=None)
