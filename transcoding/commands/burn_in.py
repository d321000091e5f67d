"""The filters that draw a text on the frames of a rendition, with libass.

It is drawn at the size of the rendition, and last of all: it goes on where the last frame of the source is held.
"""

from collections.abc import Iterable

from transcoding.commands.command import ratio_text
from transcoding.commands.watermark import FONT, white_level
from transcoding.planning.plan import EncodePlan
from transcoding.planning.tracks import VideoRendition
from transcoding.texts.burning import burned_document
from transcoding.texts.cues import Cues

_FONTS = FONT.rpartition("/")[0]


def burned_in(plan: EncodePlan, rendition: VideoRendition, first_segment: int) -> tuple[str, ...]:
    """Return the filters, if the plan has a text.

    Frames have times of their chunk. For these filters they get those of the outputs.
    """
    if plan.burn_in is None or not plan.burn_in.text:
        return ()
    start = f"round({ratio_text(plan.grid.start(first_segment))}/TB)"
    drawn = f"ass=filename={_name(rendition)}:fontsdir={_FONTS}"
    return (f"setpts=PTS+{start}", drawn, f"setpts=PTS-{start}")


def burn_in_files(
    plan: EncodePlan, renditions: Iterable[VideoRendition], cues: Cues, *, first_segment: int, segments: int
) -> dict[str, str]:
    """Return the documents that `burned_in` reads, by their names: of the `cues` on the clock of the outputs."""
    if plan.burn_in is None or not plan.burn_in.text:
        return {}
    grid = plan.grid
    shown = cues.shown_between(grid.start(first_segment), grid.start(first_segment + segments))
    return {
        _name(rung): burned_document(
            shown, rate=grid.rate, width=rung.width, height=rung.height, white=white_level(rung)
        )
        for rung in renditions
    }


def _name(rendition: VideoRendition) -> str:
    return f"burn-in-{rendition.name}.ass"
