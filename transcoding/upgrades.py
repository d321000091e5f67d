"""Upgrades of stored plans and facts, one per version (see `transcoding.records`).

Whoever changes the shape of a stored record appends a function here and a file of the old shape to the tests.
"""

from typing import Any

from transcoding.records import Upgrade

Stored = dict[str, Any]
_CPU_CODECS = {"libx264": "h264", "libx265": "hevc", "libsvtav1": "av1"}
"""Codecs of the encoders that plans of one codec named. Those of devices begin with their codec: `h264_nvenc`."""
_SIDES = ("left", "top", "right", "bottom")


def _facts_to_2(facts: Stored) -> Stored:
    """Fill in what the first facts lack."""
    return {"sample_shift": None, **facts}


def _facts_to_3(facts: Stored) -> Stored:
    """Leave color spaces open, which were not read; the first audio track was the only one that was read."""
    audio = [{**facts["audio"], "language": ""}] if facts["audio"] else []
    return {**facts, "video": {**facts["video"], "color": None}, "audio": audio}


def _facts_to_4(facts: Stored) -> Stored:
    """Leave open what was not read of streams. Warnings were codes alone, and there was always video."""
    video = {
        **dict.fromkeys(("changes", "fields_unmarked", "film"), False),
        **dict.fromkeys(("source_index", "coded", "mirrored")),
        "crop": dict.fromkeys(_SIDES, 0),
        "sample_aspect": "1/1",
        "field_order": "unknown",
        **facts["video"],
    }
    video |= {"hdr": None, "dolby_vision": None, "alpha": False}
    fields = {"source_index": None, "layout": "", "time_base": None, "span": None, "changes": False}
    audio = [{**fields, **track} for track in facts["audio"]]
    codes = ("streams_ignored" if code == "extra_streams" else code for code in facts["warnings"])
    warnings = [{"code": code, "seconds": None, "count": None} for code in codes]
    fresh: Stored = {"streams": [], "others": [], "loudness": None}
    return {**fresh, **facts, "video_stream": video, "audio": audio, "warnings": warnings}


def _facts_to_5(facts: Stored) -> Stored:
    """Leave the roles of streams open, which were not read; nor was whether text is for people who do not hear."""
    streams = [{"captions": False, **stream, "role": None} for stream in facts["streams"]]
    return {**facts, "streams": streams, "audio": [{**track, "role": "main"} for track in facts["audio"]]}


def _facts_to_6(facts: Stored) -> Stored:
    """Know of no captions within the video: nobody looked for them."""
    video = facts["video_stream"]
    others = [_facts_to_6(each) for each in facts["others"]]
    return {**facts, "video_stream": video and {**video, "captions": False}, "others": others}


def _plan_to_2(plan: Stored) -> Stored:
    """Fill in what the first plans lack: they were all for x264, in one pass and one run of ffmpeg per chunk."""
    names = [rendition["name"] for rendition in plan["renditions"]]
    first = {"sizing": None, "encoder_name": "libx264", "hardware_path": "cpu", "two_pass": False, "groups": [names]}
    renditions = [{"tier": "", "constant_quality": False, **rendition} for rendition in plan["renditions"]]
    return {**first, **plan, "renditions": renditions, "source": _facts_to_2(plan["source"])}


def _plan_to_3(plan: Stored) -> Stored:
    """Name the length of segments: it was the same everywhere."""
    return {**plan, "segment_gops": 2}


def _plan_to_4(plan: Stored) -> Stored:
    """Have a list of audio tracks, and no color space.

    No color space means no tags: segments that are encoded after the upgrade match those before it.
    """
    source = _facts_to_3(plan["source"])
    track = {"language": "", "default": True, "channels": 2}
    audio = [{**plan["audio"], **track, "stream": source["audio"][0]["index"]}] if plan["audio"] else []
    return {**plan, "source": source, "color": None, "audio": audio}


def _plan_to_5(plan: Stored) -> Stored:
    """Upgrade the facts in it; all renditions had 8 bits. Audio was not measured, so nothing was held.

    Interlaced video always became as many frames.
    """
    renditions = [{**rendition, "hdr": None} for rendition in plan["renditions"]]
    length = {"timeline": "union", "hold": {"before": 0, "after": 0}}
    source = _facts_to_4(plan["source"])
    fields = {"deinterlacing": "frame" if source["video_stream"]["interlaced"] else "none"}
    return {**plan, **length, **fields, "renditions": renditions, "source": source}


def _plan_to_6(plan: Stored) -> Stored:
    """Have the whole video, as it is: neither parts of one nor watermarks could be requested."""
    return {"cut": None, "watermark": None, **plan}


def _plan_to_7(plan: Stored) -> Stored:
    """Upgrade the facts in it. All audio was AAC in stereo, mixed by ffmpeg's own rule, and as loud as it was."""
    fields = {"codec": "aac", "role": "main", "mix": "none", "normalized": False}
    audio = [{**track, **fields} for track in plan["audio"]]
    return {**plan, "m4a": False, "audio": audio, "source": _facts_to_5(plan["source"])}


def _plan_to_8(plan: Stored) -> Stored:
    """Give the only codec of a plan a record of its own; audio alone has none. All plans had HLS and DASH."""
    encoding = {name: plan[name] for name in ("encoder_name", "preset", "hardware_path", "two_pass")}
    encoding["speed"] = (plan["sizing"] or {"speed": 0.0})["speed"]
    codec = _CPU_CODECS.get(plan["encoder_name"], plan["encoder_name"].partition("_")[0])
    renditions = [{**rendition, "codec": codec} for rendition in plan["renditions"]]
    encodings, groups = ([encoding], plan["groups"]) if renditions else ([], [])
    return {**plan, "hls": True, "dash": True, "encodings": encodings, "groups": groups, "renditions": renditions}


def _plan_to_9(plan: Stored) -> Stored:
    """Upgrade the facts in it. No text could be burned in."""
    return {"burn_in": None, **plan, "source": _facts_to_6(plan["source"])}


def _plan_to_10(plan: Stored) -> Stored:
    """Have texts alone that are burned in: no images could be."""
    return {**plan, "burn_in": {"bitmaps": None, **plan["burn_in"]} if plan["burn_in"] else None}


def _plan_to_11(plan: Stored) -> Stored:
    """Have segments come whole: no source of low latency could be planned."""
    return {**plan, "latency": "normal"}


FACTS_UPGRADES: tuple[Upgrade, ...] = (_facts_to_2, _facts_to_3, _facts_to_4, _facts_to_5, _facts_to_6)
PLAN_UPGRADES: tuple[Upgrade, ...] = (
    _plan_to_2,
    _plan_to_3,
    _plan_to_4,
    _plan_to_5,
    _plan_to_6,
    _plan_to_7,
    _plan_to_8,
    _plan_to_9,
    _plan_to_10,
    _plan_to_11,
)
THUMBNAIL_UPGRADES: tuple[Upgrade, ...] = ()
"""Upgrades of stored requests of thumbnails, and of what was made of them."""
