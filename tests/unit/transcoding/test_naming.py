"""Tracks that a request names."""

import json
from dataclasses import replace

import pytest

from tests.unit.transcoding.builders import a_policy, a_source, a_video, an_audio_source, some_audio
from tests.unit.transcoding.test_stored import STORED
from transcoding.errors import TrackUnknown, UnknownVersion
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.probing.facts import SourceFacts


def a_source_of_two() -> SourceFacts:
    """Two video tracks and two audio tracks, in a copy in which they have other numbers."""
    english, german = some_audio(index=2, language="eng"), some_audio(index=3, language="deu")
    other = replace(a_source(320, 180), video_stream=replace(a_video(320, 180, index=1), source_index=5), audio=())
    return replace(
        a_source(),
        video_stream=replace(a_video(), source_index=0),
        audio=(replace(english, source_index=7), replace(german, source_index=4)),
        others=(other,),
    )


def planned(**request: object) -> EncodePlan:
    return plan_job(a_source_of_two(), JobRequest(**request), a_policy())  # type: ignore[arg-type]


def test_without_names_it_is_the_chosen_video_and_all_audio() -> None:
    plan = planned()
    assert (plan.source.video.index, [track.stream for track in plan.audio]) == (0, [2, 3])
    assert plan.source.others == (), "a plan is about one video track"


def test_another_video_is_planned_with_its_own_facts() -> None:
    plan = planned(video_stream=5)
    assert (plan.source.video.index, plan.renditions[0].height, len(plan.audio)) == (1, 180, 2)
    assert planned(video_stream=0) == planned()


@pytest.mark.parametrize(("named", "streams"), [([4, 7], [3, 2]), ([4], [3]), ([], [])])
def test_audio_is_what_is_named_and_players_begin_with_the_first(named: list[int], streams: list[int]) -> None:
    tracks = planned(audio_streams=named).audio
    assert [track.stream for track in tracks] == streams
    assert [track.default for track in tracks] == [number == 0 for number, _ in enumerate(tracks)]


@pytest.mark.parametrize(
    ("request_", "field", "choices"),
    [
        ({"video_stream": 7}, "video_stream", "name one of: 0, 5"),
        ({"audio_streams": [7, 5]}, "audio_streams", "stream 5 is no audio track that can be transcoded"),
    ],
)
def test_a_track_that_is_not_there_is_refused(request_: dict[str, object], field: str, choices: str) -> None:
    with pytest.raises(TrackUnknown, match=choices) as caught:
        planned(**request_)
    assert caught.value.field == field


def test_facts_about_other_tracks_are_stored() -> None:
    facts = a_source_of_two()
    assert SourceFacts.from_json(json.loads(json.dumps(facts.to_json()))) == facts


def test_a_source_without_video_has_none_to_name() -> None:
    source = an_audio_source()
    assert plan_job(source, JobRequest(), a_policy()).audio_only
    with pytest.raises(TrackUnknown, match="stream 0 is no video track") as refused:
        plan_job(source, JobRequest(video_stream=0), a_policy())
    assert refused.value.field == "video_stream"


def test_nothing_at_all_of_a_source_without_video_is_refused() -> None:
    with pytest.raises(TrackUnknown, match="name at least one audio track") as refused:
        plan_job(an_audio_source(), JobRequest(audio_streams=[]), a_policy())
    assert refused.value.field == "audio_streams"


@pytest.mark.parametrize("request_", [{"video_stream": 0}, {"audio_streams": [1]}], ids=str)
def test_a_video_whose_tracks_were_not_listed_has_to_be_inspected_again(request_: dict[str, object]) -> None:
    """Version 0.1 did not read their numbers."""
    facts = SourceFacts.from_json(json.loads((STORED / "facts-3.json").read_text()))
    assert plan_job(facts, JobRequest(), a_policy()).audio
    with pytest.raises(UnknownVersion, match="did not list its tracks: it has to be inspected again"):
        plan_job(facts, JobRequest(**request_), a_policy())  # type: ignore[arg-type]
