"""The renditions of audio tracks: what is planned of each, and what manifests say of it."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from tests.unit.transcoding.builders import a_policy, a_source, some_audio
from transcoding.explanation.reasons import explain
from transcoding.manifests.dash.manifest import dash_manifest
from transcoding.manifests.dash.timeline import Timeline
from transcoding.manifests.hls.master import master_playlist
from transcoding.manifests.planned import NOT_MEASURED, planned_presentation
from transcoding.manifests.variants import Presentation
from transcoding.planning.plan import EncodePlan
from transcoding.planning.planner import plan_job
from transcoding.planning.request import JobRequest
from transcoding.planning.tracks import Mix
from transcoding.probing.streams import AudioRole, AudioStream, Loudness

SURROUND = replace(some_audio(language="eng"), channels=6, layout="5.1(side)")
ENGLISH = some_audio(language="eng")
GERMAN = some_audio(index=2, language="ger")
COMMENTARY = replace(some_audio(index=3, language="eng"), role=AudioRole.COMMENTARY)
DESCRIPTION = replace(some_audio(index=4, language="eng"), role=AudioRole.DESCRIPTION)
MPD = "{urn:mpeg:dash:schema:mpd:2011}"


def _plan(*audio: AudioStream, **request: object) -> EncodePlan:
    requested = JobRequest(resolution="360p", **request)  # type: ignore[arg-type]
    return plan_job(replace(a_source(), audio=audio), requested, a_policy())


def _presented(plan: EncodePlan) -> Presentation:
    names = [rung.name for rung in plan.renditions] + [track.name for track in plan.audio]
    return planned_presentation(plan, dict.fromkeys(names, NOT_MEASURED))


def _media_lines(plan: EncodePlan) -> list[str]:
    return [line for line in master_playlist(_presented(plan)).splitlines() if line.startswith("#EXT-X-MEDIA:")]


def _variants(plan: EncodePlan) -> list[str]:
    return [line for line in master_playlist(_presented(plan)).splitlines() if line.startswith("#EXT-X-STREAM-INF:")]


def _adaptation_sets(plan: EncodePlan) -> list[ET.Element]:
    presentation = _presented(plan)
    segment = Timeline(timescale=48_000, durations=(192_000,))
    timelines = {track.name: segment for track in presentation.videos} | {
        track.name: segment for track in presentation.audio
    }
    text = dash_manifest(presentation, timelines, duration=plan.grid.duration)
    return ET.fromstring(text.partition("\n")[2]).findall(f".//{MPD}AdaptationSet[@contentType='audio']")  # noqa: S314


def test_hls_names_languages_and_purposes_for_people_and_for_players() -> None:
    lines = _media_lines(_plan(ENGLISH, GERMAN, COMMENTARY, DESCRIPTION))
    assert [line.partition("GROUP-ID=")[2].partition(",URI")[0] for line in lines] == [
        '"audio",LANGUAGE="en",NAME="English",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2"',
        '"audio",LANGUAGE="de",NAME="German",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2"',
        '"audio",LANGUAGE="en",NAME="English, commentary",DEFAULT=NO,AUTOSELECT=NO,CHANNELS="2"',
        (
            '"audio",LANGUAGE="en",NAME="English, audio description",DEFAULT=NO,AUTOSELECT=YES,'
            'CHARACTERISTICS="public.accessibility.describes-video",CHANNELS="2"'
        ),
    ]


def test_names_differ_although_languages_and_purposes_are_the_same() -> None:
    unknown = [
        replace(some_audio(index=number), role=role) for number, role in ((5, AudioRole.MAIN), (6, AudioRole.DUB))
    ]
    lines = _media_lines(_plan(ENGLISH, replace(GERMAN, language="en"), *unknown))
    names = [line.partition('NAME="')[2].partition('"')[0] for line in lines]
    assert names == ["English", "English 2", "audio-3", "Dubbed"]


def test_dash_says_what_a_track_is_for() -> None:
    sets = _adaptation_sets(_plan(ENGLISH, GERMAN, COMMENTARY, DESCRIPTION))
    assert [each.get("lang") for each in sets] == ["en", "de", "en", "en"]
    assert [each.findtext(f"{MPD}Label") for each in sets][2:] == ["English, commentary", "English, audio description"]
    roles = [[(role.get("value")) for role in each.findall(f"{MPD}Role")] for each in sets]
    assert roles == [["main"], ["alternate"], ["commentary"], ["description"]]
    purposes = [each.find(f"{MPD}Accessibility") for each in sets]
    assert [purpose is not None for purpose in purposes] == [False, False, False, True]
    assert purposes[3] is not None
    assert purposes[3].attrib == {"schemeIdUri": "urn:tva:metadata:cs:AudioPurposeCS:2007", "value": "1"}
    assert [each.tag.removeprefix(MPD) for each in sets[3]] == [
        *("AudioChannelConfiguration", "Label", "Accessibility", "Role", "SegmentTemplate", "Representation"),
    ], "in the order of the schema"
    assert not any(each.get("selectionPriority") for each in sets)


def test_surround_is_beside_stereo_in_a_group_of_its_own() -> None:
    plan = _plan(SURROUND, GERMAN, audio_channels="surround")
    assert [(track.name, track.channels, track.bitrate, track.mix) for track in plan.audio] == [
        ("audio", 2, 128_000, Mix.STEREO),
        ("audio-2", 2, 128_000, Mix.NONE),
        ("audio-surround", 6, 384_000, Mix.SURROUND),
    ]
    lines = _media_lines(plan)
    assert [line.partition("GROUP-ID=")[2].partition(",URI")[0] for line in lines] == [
        '"audio",LANGUAGE="en",NAME="English",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2"',
        '"audio",LANGUAGE="de",NAME="German",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2"',
        '"audio-surround",LANGUAGE="en",NAME="English",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="6"',
    ]
    assert [line.rpartition("AUDIO=")[2].partition(",")[0] for line in _variants(plan)] == [
        '"audio"',
        '"audio-surround"',
    ]
    sets = _adaptation_sets(plan)
    channels = [each.find(f"{MPD}AudioChannelConfiguration") for each in sets]
    assert [found.get("value") for found in channels if found is not None] == ["2", "2", "6"]
    assert [each.get("selectionPriority") for each in sets] == ["2", "2", None], "players begin with stereo"


def test_surround_without_video_is_another_variant() -> None:
    source = replace(a_source(), audio=(SURROUND,), video_stream=None)
    plan = plan_job(source, JobRequest(audio_channels="surround"), a_policy())
    assert [line.rpartition("AUDIO=")[2].partition(",")[0] for line in _variants(plan)] == [
        '"audio"',
        '"audio-surround"',
    ]


@pytest.mark.parametrize(
    ("channels", "layout", "mix", "surround"),
    [
        (1, "mono", Mix.NONE, False),
        (2, "stereo", Mix.NONE, False),
        (3, "2.1", Mix.STEREO, False),
        (4, "quad", Mix.STEREO, True),
        (8, "7.1", Mix.STEREO, True),
        (6, "", Mix.STEREO, True),
        (16, "hexadecagonal", Mix.STEREO, True),
        (16, "", Mix.NONE, False),
    ],
)
def test_only_channels_whose_places_are_known_are_mixed_by_rule(
    channels: int, layout: str, mix: Mix, *, surround: bool
) -> None:
    plan = _plan(replace(ENGLISH, channels=channels, layout=layout), audio_channels="surround")
    assert plan.audio[0].mix is mix
    assert [track.name for track in plan.audio] == ["audio", *["audio-surround"] * surround]
    reasons = {reason.choice: reason for reason in explain(plan, JobRequest(audio_channels="surround"))}
    assert ("audio_channels" in reasons) is not surround


def test_every_choice_about_audio_is_explained() -> None:
    request = JobRequest(audio_codec="opus", audio_channels="surround", normalize_audio=True, m4a=True)
    plan = plan_job(replace(a_source(), audio=(SURROUND, COMMENTARY)), request, a_policy())
    reasons = {reason.choice: reason for reason in explain(plan, request)}
    assert reasons["audio"].value == "eng, stereo, opus, 128000 bit/s"
    assert "cannot clip" in reasons["audio"].because
    assert reasons["audio-2"].value == "eng, commentary, stereo, opus, 128000 bit/s"
    assert reasons["audio-surround"].value.startswith("eng, 5.1, opus")
    assert reasons["loudness"].value == "-16 LUFS, true peaks up to -1.5 dBTP"
    assert reasons["m4a"].value == "audio, audio-2, audio-surround"


def test_the_loudness_that_inspection_measured_is_used_where_it_is_that_of_the_rendition() -> None:
    loudness = Loudness(integrated=-23.0, range=5.0, true_peak=-3.0)
    source = replace(a_source(), audio=(ENGLISH, GERMAN), loudness=loudness)
    plan = plan_job(source, JobRequest(normalize_audio=True), a_policy())
    assert [plan.known_loudness(track) for track in plan.audio] == [loudness, None]
    for other in (replace(ENGLISH, channels=1), SURROUND, replace(ENGLISH, changes=True)):
        plan = plan_job(replace(source, audio=(other,)), JobRequest(normalize_audio=True), a_policy())
        assert plan.known_loudness(plan.audio[0]) is None
