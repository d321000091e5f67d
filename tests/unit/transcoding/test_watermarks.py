"""Watermarks in plans and commands."""

import json
from dataclasses import replace

from tests.unit.transcoding.builders import a_policy, a_source, an_audio_source
from transcoding.commands.chunk import chunk_command
from transcoding.encoders import ENCODERS, HardwarePath
from transcoding.explanation.reasons import explain
from transcoding.planning.encodings import EncoderChoice
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest

MARK = {"text": "%{pts}:'"}
REQUEST = JobRequest(watermark=MARK)


def test_a_text_is_no_part_of_the_command() -> None:
    plan = plan_job(a_source(1280, 720), REQUEST, a_policy())
    command = chunk_command(plan, "/s/x", first_segment=0, segments=1)
    assert command.files == {"watermark.txt": MARK["text"]}
    assert MARK["text"] not in " ".join(
        command.argv("ffmpeg", dict.fromkeys(command.targets, "-"), progress="-", max_pixels=1)
    )
    graph = command.filter_graph or ""
    assert graph.count("textfile=watermark.txt:expansion=none:fontsize=") == len(plan.renditions)
    assert [f"fontsize={round(0.05 * rung.height)}:" in graph for rung in plan.renditions] == [True] * len(
        plan.renditions
    )


def test_a_plan_keeps_it_and_says_so() -> None:
    plan = plan_job(a_source(), REQUEST, a_policy())
    assert EncodePlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    (reason,) = (reason for reason in explain(plan, REQUEST) if reason.choice == "watermark")
    assert reason.value == "a text, bottom-right"


def test_without_one_nothing_is_drawn() -> None:
    plan = plan_job(a_source(), JobRequest(), a_policy())
    command = chunk_command(plan, "/s/x", first_segment=0, segments=1)
    assert "drawtext" not in (command.filter_graph or "")
    assert not command.files


def test_frames_that_are_drawn_on_are_in_memory() -> None:
    policy, encoder = replace(a_policy(), hardware_path=HardwarePath.DEVICE), ENCODERS["h264_nvenc"]
    assert (
        plan_job(a_source(), JobRequest(), policy, encoders=[EncoderChoice(encoder=encoder)]).encodings[0].hardware_path
        == HardwarePath.DEVICE
    )
    assert (
        plan_job(a_source(), REQUEST, policy, encoders=[EncoderChoice(encoder=encoder)]).encodings[0].hardware_path
        == HardwarePath.UPLOAD
    )


def test_it_has_no_effect_on_audio_alone() -> None:
    plan = plan_job(an_audio_source(), REQUEST, a_policy())
    assert plan.watermark is None
    assert [reason.value for reason in explain(plan, REQUEST) if reason.choice == "watermark"] == ["no effect"]
