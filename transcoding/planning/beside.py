"""Renditions that are added to those of an earlier plan: players switch between both only if their segments match."""

from transcoding.errors import BesideRefused
from transcoding.planning.plan import EncodePlan


def refuse_beside(plan: EncodePlan, base: EncodePlan, codecs: frozenset[str]) -> None:
    """Raise BesideRefused unless the renditions of a plan fit to those of another one of the same source.

    `codecs` are those that players have already.
    """
    if plan.audio_only or base.audio_only:
        raise BesideRefused("the video has audio alone; only renditions of video stand beside others", field="beside")
    if known := [encoding.codec for encoding in plan.encodings if encoding.codec in codecs]:
        raise BesideRefused(
            f"the video has renditions of {' and '.join(known)} already; name another codec", field="beside"
        )
    differences = {
        "the frame rate or the number of frames differs": plan.grid.rate != base.grid.rate
        or plan.source.total_frames != base.source.total_frames,
        "the first frame has another time": plan.first != base.first,
        "frames are held for another time; name the same audio tracks and timeline": plan.hold != base.hold,
        "another part of the video is requested; name the same start and end": plan.cut != base.cut,
        "segments have another length": plan.segment_gops != base.segment_gops or plan.grid.is_open,
        "the text that is burned in differs; name the same burn_in": plan.burn_in != base.burn_in,
        "fields become frames in another way; name the same deinterlace": plan.deinterlacing != base.deinterlacing,
        "the frames are those of another track; name the same video_stream": plan.source.video.index
        != base.source.video.index,
    }
    if reasons := [reason for reason, differs in differences.items() if differs]:
        raise BesideRefused(f"the renditions would not fit to those that play: {'; '.join(reasons)}", field="beside")
