"""Stored plans and facts of earlier versions, as files of what those versions wrote."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.unit.transcoding.builders import NTSC, a_plan, a_policy, a_source, an_audio_source
from transcoding.color import ColorSpace
from transcoding.commands.chunk import chunk_command
from transcoding.errors import TranscodeError, UnknownVersion
from transcoding.planning.burn_in import BurnIn
from transcoding.planning.encodings import Encoding
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.planning.tracks import Mix
from transcoding.probing.facts import SourceFacts
from transcoding.probing.streams import AudioRole
from transcoding.probing.warnings import Notice, SourceWarning
from transcoding.records import current_version
from transcoding.upgrades import FACTS_UPGRADES, PLAN_UPGRADES

STORED = Path(__file__).with_name("stored")


def stored(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((STORED / f"{name}.json").read_text())
    return read


def a_rotated_source() -> SourceFacts:
    """The source that the stored files are about."""
    rotated = Notice(code=SourceWarning.ROTATED)
    facts = a_source(1920, 1080, rate=NTSC, frames=1000, first=Fraction(1, 15), warnings=(rotated,))
    return _of_earlier(_without_color(replace(facts, sample_shift=-1024)))


def _of_earlier(facts: SourceFacts) -> SourceFacts:
    """Facts from before mirrored frames were known."""
    return replace(facts, video_stream=replace(facts.video, mirrored=None))


def a_source_with_color() -> SourceFacts:
    """The same, when color spaces were looked at, and streams that are ignored had another code."""
    ignored = Notice(code=SourceWarning.STREAMS_IGNORED)
    facts = a_rotated_source()
    return replace(facts, video_stream=replace(facts.video, color=ColorSpace()), warnings=(*facts.warnings, ignored))


def an_upright_source() -> SourceFacts:
    """The same, when it was known which frames are mirrored."""
    return _upright(a_source_with_color())


def _upright(facts: SourceFacts) -> SourceFacts:
    return replace(facts, video_stream=replace(facts.video, mirrored=False))


def _without_color(facts: SourceFacts) -> SourceFacts:
    """Facts from before color spaces were looked at."""
    return replace(facts, video_stream=replace(facts.video, color=None))


@pytest.mark.parametrize("name", ["facts-1", "facts-2"])
def test_facts_of_earlier_versions_are_read(name: str) -> None:
    assert SourceFacts.from_json(stored(name)) == a_rotated_source()


def test_facts_from_before_the_list_of_streams_are_read() -> None:
    assert SourceFacts.from_json(stored("facts-3")) == a_source_with_color()


def test_plans_from_before_the_list_of_streams_are_read() -> None:
    request = JobRequest(resolution="720p", mp4=True, two_pass=True)
    assert EncodePlan.from_json(stored("plan-4")) == plan_job(a_source_with_color(), request, a_policy())


def test_plans_from_before_parts_of_videos_are_read() -> None:
    request = JobRequest(resolution="720p", mp4=True, two_pass=True)
    read = EncodePlan.from_json(stored("plan-5"))
    assert read == plan_job(an_upright_source(), request, a_policy())
    assert read.cut is None


def test_plans_from_before_roles_and_choices_of_audio_are_read() -> None:
    request = JobRequest(resolution="720p", mp4=True, two_pass=True)
    read = EncodePlan.from_json(stored("plan-6"))
    assert read == plan_job(an_upright_source(), request, a_policy())
    assert [(track.codec, track.role, track.mix, track.normalized) for track in read.audio] == [
        ("aac", AudioRole.MAIN, Mix.NONE, False)
    ]
    assert not read.m4a


def test_facts_from_before_roles_are_read() -> None:
    read = SourceFacts.from_json(stored("facts-4"))
    assert [(stream.language, stream.role) for stream in read.streams] == [("eng", None)]
    assert [track.role for track in read.audio] == [AudioRole.MAIN]


def test_plans_from_before_several_codecs_are_read() -> None:
    request = JobRequest(resolution="720p", mp4=True, two_pass=True)
    assert EncodePlan.from_json(stored("plan-7")) == plan_job(_upright(a_rotated_source()), request, a_policy())
    alone = EncodePlan.from_json(stored("plan-7-audio"))
    assert alone == plan_job(an_audio_source(), JobRequest(), a_policy())


def test_plans_from_before_images_could_be_burned_in_are_read() -> None:
    burned = BurnIn(text="7d444840-9dc0-11d1-b245-5ffdce74fad2", language="de", embedded=False)
    plan = plan_job(a_source(1920, 1080), JobRequest(burn_in=burned), a_policy())
    for each in (plan, replace(plan, burn_in=None)):
        written = each.to_json() | {"version": 9}
        if each.burn_in:
            written["burn_in"] = {"text": burned.text, "language": "de", "embedded": False}
        assert EncodePlan.from_json(written) == each


def test_plans_from_before_low_latency_have_none() -> None:
    plan = a_plan()
    written = plan.to_json() | {"version": 10}
    del written["latency"]
    assert EncodePlan.from_json(written) == plan
    assert plan.part_frames is None


def test_manifests_of_high_range_in_eight_bits_stay_as_they_were() -> None:
    """All of its renditions would be said to be of a range that few screens show."""
    old, high = stored("plan-4"), {"primaries": "bt2020", "transfer": "smpte2084", "matrix": "bt2020nc", "range": "tv"}
    old |= {"color": high, "source": old["source"] | {"video": old["source"]["video"] | {"color": high}}}
    plan = EncodePlan.from_json(old)
    assert (plan.of_high_range, plan.tone_mapped) == (True, False)
    assert [plan.stated_color(rendition) for rendition in plan.renditions] == [None]


@pytest.mark.parametrize("name", ["plan-1", "plan-2", "plan-3"])
def test_plans_of_earlier_versions_are_read(name: str) -> None:
    request = JobRequest(resolution="720p", mp4=True, two_pass=True)
    read = EncodePlan.from_json(stored(name))
    assert read == plan_job(a_rotated_source(), request, a_policy())
    assert (read.segment_gops, read.color, len(read.audio)) == (2, None, 1)


def test_an_earlier_plan_without_audio_has_no_track() -> None:
    old = stored("plan-3")
    read = EncodePlan.from_json({**old, "audio": None, "source": {**old["source"], "audio": None}})
    assert (read.audio, read.source.audio) == ((), ())


def test_the_first_plans_are_read_as_x264_s() -> None:
    read = EncodePlan.from_json(stored("plan-1-first"))
    first = Encoding(encoder_name="libx264", preset="veryfast")
    assert (read.encodings, read.groups, read.sizing) == ((first,), (("360p",),), None)
    planned = plan_job(_of_earlier(_without_color(a_source(frames=300))), JobRequest(resolution="360p"), a_policy())
    assert read == replace(planned, sizing=None, encodings=(first,))


@pytest.mark.parametrize("version", [0, 99, -1, "2", None, [], 1.5], ids=str)
def test_another_version_is_refused_by_type(version: object) -> None:
    records = (
        (EncodePlan.from_json, a_plan().to_json(), current_version(PLAN_UPGRADES)),
        (SourceFacts.from_json, a_source().to_json(), current_version(FACTS_UPGRADES)),
    )
    for read, data, newest in records:
        assert data["version"] == newest
        with pytest.raises(UnknownVersion, match=f"versions 1 to {newest} are read") as caught:
            read({**data, "version": version})
        assert isinstance(caught.value, TranscodeError), "steps end by it with a code of its own"


@pytest.mark.parametrize("missing", ["sizing", "encodings", "groups", "mp4", "source", "segment_gops"])
def test_a_plan_of_the_current_version_has_every_field(missing: str) -> None:
    data = a_plan().to_json()
    del data[missing]
    with pytest.raises(ValueError, match=f"EncodePlan lacks '{missing}'"):
        EncodePlan.from_json(data)


@pytest.mark.parametrize("broken", [{"renditions": None}, {"renditions": [3]}, {"source": None}, {}], ids=str)
def test_what_cannot_be_upgraded_is_no_plan(broken: dict[str, object]) -> None:
    data = {**stored("plan-1"), **broken} if broken else {}
    with pytest.raises(ValueError, match="EncodePlan of version 1 cannot be upgraded"):
        EncodePlan.from_json(data)


def test_a_plan_of_version_0_1_has_ffmpeg_turn_frames_as_it_did() -> None:
    """Nothing said which frames are mirrored, and a chunk may follow one that it encoded."""
    old = stored("plan-4")
    turned = old | {"source": old["source"] | {"video": old["source"]["video"] | {"rotation": 90}}}
    command = chunk_command(EncodePlan.from_json(turned), "/s/x", first_segment=0, segments=1)
    (opening,), graph = command.inputs, command.filter_graph or ""
    assert "noautorotate" not in opening.options
    assert "transpose" not in graph
    assert "DISPLAYMATRIX" not in graph
    now = chunk_command(a_plan(), "/s/x", first_segment=0, segments=1)
    assert "noautorotate" in now.inputs[0].options
