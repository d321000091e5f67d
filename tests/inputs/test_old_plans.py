"""Plans that version 0.1 stored and this one carries out: what it had encoded is followed by the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.inputs.comparing import differences
from tests.inputs.running import transcode
from tests.inputs.table import CASES
from tests.unit.transcoding.test_stored import STORED
from transcoding.planning.plan import EncodePlan

VERSION = 4
"""The version of the plans that version 0.1 stored."""


def stored_by_0_1(plan: EncodePlan) -> EncodePlan:
    """Read the plan as it is when that version has stored it: without what it did not know."""
    data: dict[str, Any] = plan.to_json()
    data |= data["encodings"][0] | {"text": []}  # which was never filled
    source: dict[str, Any] = {**data["source"], "warnings": []}
    source["video"] = source.pop("video_stream")
    shape = json.loads((STORED / f"plan-{VERSION}.json").read_text())
    return EncodePlan.from_json({**_like(shape, {**data, "source": source}), "version": VERSION})


def _like(shape: Any, data: Any) -> Any:  # noqa: ANN401 - values of JSON
    """Return the data with the fields alone that the shape has."""
    if isinstance(shape, dict) and isinstance(data, dict):
        return {name: _like(shape[name], data[name]) for name in shape}
    if isinstance(shape, list) and isinstance(data, list):
        return [_like(shape[0], each) if shape else each for each in data]
    return data


@pytest.mark.parametrize("key", ["rotated-90", "mirrored-and-rotated"])
def test_frames_are_turned_and_mirrored_as_before(key: str, tmp_path: Path) -> None:
    case = CASES[key]
    (tmp_path / "input").mkdir()
    source = case.make(tmp_path / "input")
    found = transcode(source, tmp_path / "work", case.request, preset=case.preset, adapt=stored_by_0_1)
    assert found.plan.source.video.mirrored is None
    wrong = list(differences(case.outcome, found, tmp_path))
    assert not wrong, "\n".join(wrong)
