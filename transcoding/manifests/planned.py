"""The presentation that a plan makes."""

from collections.abc import Mapping

from transcoding.manifests.variants import AudioVariant, Presentation, VideoVariant
from transcoding.planning.plan import EncodePlan


def planned_presentation(plan: EncodePlan, averages: Mapping[str, int | None]) -> Presentation:
    """List what players choose from: the renditions in `averages`, which are measured rates in bits per second.

    Promised rates come from the plan, and so does an average that nobody measured yet.
    """
    return Presentation(
        videos=tuple(
            VideoVariant(
                name=rung.name,
                width=rung.width,
                height=rung.height,
                frame_rate=plan.grid.rate,
                codecs=rung.codecs,
                peak_bandwidth=rung.peak_bandwidth,
                average_bandwidth=averages[rung.name] or rung.bitrate,
                color=plan.stated_color(rung),
            )
            for rung in plan.renditions
            if rung.name in averages
        ),
        audio=tuple(
            AudioVariant(
                name=track.name,
                language=track.language,
                default=track.default,
                codecs=track.codecs,
                channels=track.channels,
                peak_bandwidth=track.peak_bandwidth,
                average_bandwidth=averages[track.name] or track.bitrate,
            )
            for track in plan.audio
            if track.name in averages
        ),
    )
