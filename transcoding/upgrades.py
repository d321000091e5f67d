"""Upgrades of stored plans and facts, one per version (see `transcoding.records`).

Whoever changes the shape of a stored record appends a function here and a file of the old shape to the tests.
"""

from typing import Any

from transcoding.records import Upgrade

Stored = dict[str, Any]


def _facts_to_2(facts: Stored) -> Stored:
    """Fill in what the first facts lack; color spaces were not asked for, and cannot be made up."""
    return {"sample_shift": None, **facts, "video": {**facts["video"], "color": None}}


def _plan_to_2(plan: Stored) -> Stored:
    """Fill in what the first plans lack: they were all for x264, in one pass and one run of ffmpeg per chunk.

    No color space means no tags: what is encoded of such a plan after its upgrade is like what was encoded before.
    """
    names = [rendition["name"] for rendition in plan["renditions"]]
    first = {"sizing": None, "encoder_name": "libx264", "hardware_path": "cpu", "two_pass": False, "groups": [names]}
    renditions = [{"tier": "", "constant_quality": False, **rendition} for rendition in plan["renditions"]]
    now = {"renditions": renditions, "source": _facts_to_2(plan["source"]), "color": None}
    return {**first, **plan, **now}


def _plan_to_3(plan: Stored) -> Stored:
    """Name the length of segments: it was the same everywhere."""
    return {**plan, "segment_gops": 2}


FACTS_UPGRADES: tuple[Upgrade, ...] = (_facts_to_2,)
PLAN_UPGRADES: tuple[Upgrade, ...] = (_plan_to_2, _plan_to_3)
