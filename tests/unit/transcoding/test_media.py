import itertools
import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.transcoding.builders import PAL, a_video_track, an_audio_track, ffprobe_json
from transcoding.color import ColorRange, ColorSpace, Matrix, Primaries, Transfer
from transcoding.errors import InputRejected
from transcoding.hdr import ContentLight, HdrMetadata
from transcoding.probing.color import first_frame_metadata, refuse_foreign_colors
from transcoding.probing.facts import source_facts
from transcoding.probing.media import MediaInfo, parse_ffprobe
from transcoding.probing.streams import Resolution, StreamKind
from transcoding.probing.timing import FrameTiming, Packet, first_lines, measure_timing, parse_packets
from transcoding.probing.warnings import Notice, SourceWarning

MILLISECOND = Fraction(1, 1000)


def displayed(**fields: object) -> tuple[int, int]:
    video = parse_ffprobe(ffprobe_json(a_video_track(**fields))).video
    return video.display.width, video.display.height


def turned(degrees: object) -> list[dict[str, object]]:
    return [{"side_data_type": "Display Matrix", "rotation": degrees}]


def test_one_video_track_and_all_audio_tracks_are_taken() -> None:
    media = parse_ffprobe(ffprobe_json(an_audio_track(), a_video_track(), an_audio_track(channels=6), a_video_track()))
    assert (media.video.index, len(media.streams)) == (1, 4)
    assert [(track.index, track.channels) for track in media.audio] == [(2, 6), (0, 2)]


def test_audio_tracks_are_left_out_where_nothing_can_be_made_of_them() -> None:
    odd = [
        an_audio_track(channels=65),
        an_audio_track(sample_rate="384001"),
        an_audio_track(codec_name="ilbc"),
        an_audio_track(sample_rate="0"),
    ]
    media = parse_ffprobe(
        ffprobe_json(a_video_track(), an_audio_track(codec_name="ilbc"), *odd, an_audio_track(codec_name="opus"))
    )
    assert [(track.index, track.codec) for track in media.audio] == [(6, "opus")]


@pytest.mark.parametrize(
    ("tags", "language"),
    [
        ({"language": "eng"}, "eng"),
        ({"language": "zh-Hant-TW"}, "zh-Hant-TW"),
        ({"language": "und"}, ""),
        ({"language": 'x"y'}, ""),
        ({"language": "e" * 99}, ""),
        ({"language": 7}, ""),
        ({}, ""),
    ],
    ids=str,
)
def test_the_language_of_audio(tags: dict[str, object], language: str) -> None:
    (track,) = parse_ffprobe(ffprobe_json(a_video_track(), an_audio_track(tags=tags))).audio
    assert track.language == language


def test_cover_art_is_no_video() -> None:
    cover = a_video_track(codec_name="png", disposition={"attached_pic": 1})
    assert parse_ffprobe(ffprobe_json(cover, a_video_track())).video.index == 1


@pytest.mark.parametrize(
    "streams",
    [(), (a_video_track(disposition={"attached_pic": 1}),), (a_video_track(width=0, height=0),)],
    ids=["nothing", "cover art", "no size"],
)
def test_a_file_without_video_and_audio_is_rejected(streams: tuple[dict[str, object], ...]) -> None:
    with pytest.raises(InputRejected, match="no video track"):
        parse_ffprobe(ffprobe_json(*streams))


def test_an_audio_track_without_samples_is_none() -> None:
    assert parse_ffprobe(ffprobe_json(a_video_track(), an_audio_track(sample_rate="0"))).audio == ()


@pytest.mark.parametrize("fields", [{"sample_rate": "384001"}, {"channels": 65}])
def test_more_audio_than_anybody_records_is_left_out(fields: dict[str, object]) -> None:
    assert parse_ffprobe(ffprobe_json(a_video_track(), an_audio_track(sample_rate="384000", channels=64))).audio
    assert parse_ffprobe(ffprobe_json(a_video_track(), an_audio_track(**fields))).audio == ()


def test_data_tracks_are_only_counted() -> None:
    media = parse_ffprobe(ffprobe_json({"codec_type": "data"}, a_video_track(), {"codec_type": "subtitle"}))
    assert (media.video.index, [stream.kind for stream in media.streams], media.audio) == (
        1,
        [StreamKind.DATA, StreamKind.VIDEO, StreamKind.SUBTITLE],
        (),
    )


@pytest.mark.parametrize(
    ("degrees", "rotation", "size"),
    [
        (0, 0, (1280, 720)),
        (-90, 90, (720, 1280)),
        (90, 270, (720, 1280)),
        (180, 180, (1280, 720)),
        (-180, 180, (1280, 720)),
        ("-90.00", 90, (720, 1280)),
    ],
)
def test_rotation_turns_the_size_that_is_shown(degrees: object, rotation: int, size: tuple[int, int]) -> None:
    assert parse_ffprobe(ffprobe_json(a_video_track(side_data_list=turned(degrees)))).video.rotation == rotation
    assert displayed(side_data_list=turned(degrees)) == size


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        ("1:1", (720, 576)),
        ("64:45", (1024, 576)),
        ("16:15", (768, 576)),
        ("0:1", (720, 576)),  # unknown
        ("N/A", (720, 576)),
        ("1:0", (720, 576)),
        ("1e999999999:1", (720, 576)),
    ],
)
def test_the_aspect_of_pixels_stretches_the_width(aspect: str, size: tuple[int, int]) -> None:
    assert displayed(width=720, height=576, sample_aspect_ratio=aspect) == size


def test_the_aspect_of_pixels_applies_before_the_rotation() -> None:
    assert displayed(width=720, height=576, sample_aspect_ratio="64:45", side_data_list=turned(-90)) == (576, 1024)


@pytest.mark.parametrize(
    ("order", "interlaced"), [("progressive", False), ("unknown", False), ("tt", True), ("bb", True), ("tb", True)]
)
def test_field_order(order: str, interlaced: bool) -> None:  # noqa: FBT001 - a column of the table
    assert parse_ffprobe(ffprobe_json(a_video_track(field_order=order))).video.interlaced is interlaced


@pytest.mark.parametrize(
    ("transfer", "hdr"), [("bt709", False), ("smpte2084", True), ("arib-std-b67", True), (None, False)]
)
def test_transfer_function(transfer: str | None, hdr: bool) -> None:  # noqa: FBT001 - a column of the table
    color = parse_ffprobe(ffprobe_json(a_video_track(color_transfer=transfer))).video.color
    assert color is not None
    assert color.hdr is hdr


@pytest.mark.parametrize(
    ("fields", "color"),
    [
        ({}, ColorSpace()),
        (
            {
                "color_primaries": "bt2020",
                "color_transfer": "arib-std-b67",
                "color_space": "bt2020nc",
                "color_range": "tv",
            },
            ColorSpace(
                primaries=Primaries.BT2020, transfer=Transfer.HLG, matrix=Matrix.BT2020NC, range=ColorRange.LIMITED
            ),
        ),
        ({"pix_fmt": "yuvj422p"}, ColorSpace(range=ColorRange.FULL)),
        (
            {"pix_fmt": "gbrp", "color_space": "gbr", "color_range": "pc"},
            ColorSpace(matrix=Matrix.RGB, range=ColorRange.FULL),
        ),
        ({"pix_fmt": "bgra"}, ColorSpace(matrix=Matrix.RGB, range=ColorRange.FULL)),
        ({"pix_fmt": "pal8", "color_range": "tv"}, ColorSpace(matrix=Matrix.RGB, range=ColorRange.FULL)),
        (
            {"side_data_list": [{"dv_profile": 8, "dv_bl_signal_compatibility_id": 4}]},
            ColorSpace(transfer=Transfer.HLG),
        ),
        ({"color_space": "reserved", "color_range": "bt709:x=", "color_primaries": 7}, ColorSpace()),
    ],
    ids=str,
)
def test_color_space(fields: dict[str, object], color: ColorSpace) -> None:
    assert parse_ffprobe(ffprobe_json(a_video_track(**fields))).video.color == color


def test_dolby_vision_that_only_its_own_decoders_understand_is_refused() -> None:
    track = a_video_track(side_data_list=[{"dv_profile": 5, "dv_bl_signal_compatibility_id": 0}])
    video = parse_ffprobe(ffprobe_json(track)).video
    with pytest.raises(InputRejected, match="Dolby Vision of profile 5"):
        refuse_foreign_colors(video)


@pytest.mark.parametrize(
    ("fields", "alpha"),
    [
        ({}, False),
        ({"pix_fmt": "yuva444p10le"}, True),
        ({"codec_name": "vp9", "tags": {"alpha_mode": "1"}}, True),
        ({"codec_name": "vp8", "tags": {"ALPHA_MODE": "1"}}, True),
        ({"codec_name": "vp9", "tags": {"alpha_mode": "0"}}, False),
        ({"codec_name": "h264", "tags": {"alpha_mode": "1"}}, False),
    ],
    ids=str,
)
def test_transparency(fields: dict[str, object], alpha: bool) -> None:  # noqa: FBT001 - a column of the table
    assert parse_ffprobe(ffprobe_json(a_video_track(**fields))).video.alpha is alpha


def test_the_light_of_a_master_is_that_of_the_coded_stream_then_of_the_container() -> None:
    container = {"max_content": 900, "max_average": 90}
    media = parse_ffprobe(ffprobe_json(a_video_track(color_transfer="smpte2084", side_data_list=[container])))
    assert media.video.hdr == HdrMetadata(light=ContentLight(max_content=900, max_average=90))
    coded = first_frame_metadata(
        json.dumps({"frames": [{"side_data_list": [{"max_content": 800, "max_average": 80}]}]})
    )
    assert media.with_light(coded).video.hdr == HdrMetadata(light=ContentLight(max_content=800, max_average=80))
    assert media.with_light(first_frame_metadata("{}")).video.hdr == media.video.hdr
    assert parse_ffprobe(ffprobe_json(a_video_track())).video.hdr is None


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"duration": "10.5"}, Fraction(21, 2)),
        ({"tags": {"DURATION": "01:02:03.500000000"}}, Fraction(7447, 2)),
        ({"tags": {"DURATION": "soon"}}, None),
        ({"tags": {"DURATION": "1e999999999:0:0"}}, None),  # these would take for ever to work out
        ({"tags": {"DURATION": "0:0:1e-999999999"}}, None),
        ({"tags": {"DURATION": f"{'9' * 5000}:00:00"}}, None),
        ({"duration": "1e999999999"}, None),
        ({"duration": f"1.{'0' * 5000}"}, None),
        ({"duration": "1/0"}, None),
        ({"duration": "N/A"}, None),
        ({}, None),
    ],
)
def test_the_announced_duration(fields: dict[str, object], seconds: Fraction | None) -> None:
    assert parse_ffprobe(ffprobe_json(a_video_track(**fields))).duration == seconds


def test_the_bit_rate_may_be_missing() -> None:
    assert parse_ffprobe(ffprobe_json(a_video_track(bit_rate="1000"))).video.bit_rate == 1000
    assert parse_ffprobe(ffprobe_json(a_video_track(bit_rate="N/A"))).video.bit_rate is None
    assert parse_ffprobe(ffprobe_json(a_video_track())).video.bit_rate is None


def test_a_video_has_positive_sides() -> None:
    with pytest.raises(ValueError, match="positive"):
        Resolution(width=0, height=720)


def test_packets_are_read_line_by_line() -> None:
    lines = [
        *("0,512,900,48,K_\n", "\n", "512,N/A,70,N/A,__,\n", "-1024,512,60,1000,_D\n"),
        *("N/A,512,5,5,__\n", "1024,512\n"),
    ]
    assert list(parse_packets(lines)) == [
        Packet(0, 512, key=True, discard=False, size=900, position=48),
        Packet(512, 0, key=False, discard=False, size=70, position=-1),
        Packet(-1024, 512, key=False, discard=True, size=60, position=1000),
    ]


def packets(*ticks: int, duration: int = 40, keys: tuple[int, ...] = (), hidden: tuple[int, ...] = ()) -> list[Packet]:
    """Packets at these times; the first one is a key frame if none is named."""
    return [Packet(tick, duration, key=tick in (keys or ticks[:1]), discard=tick in hidden) for tick in ticks]


def test_a_constant_source_has_as_many_frames_as_packets() -> None:
    timing = measure_timing(packets(80, 200, 120, 160, 240), MILLISECOND)
    assert timing == FrameTiming(first=Fraction(80, 1000), rate=PAL, constant=True, steady=True, total_frames=5)


def test_frames_in_front_of_the_first_key_frame_do_not_count() -> None:
    timing = measure_timing(packets(0, 40, 160, 80, 120, 200, 240, keys=(160,)), MILLISECOND)
    assert timing.first == Fraction(160, 1000)
    assert timing.total_frames == 3


def test_a_hidden_key_frame_makes_the_frames_behind_it_count() -> None:
    """An edit list that starts in the middle of a GOP."""
    timing = measure_timing(packets(-80, -40, 0, 40, 80, 120, keys=(-80, 120), hidden=(-80, -40)), MILLISECOND)
    assert timing.first == 0
    assert timing.total_frames == 4


@pytest.mark.parametrize(
    "unusable",
    [[], packets(0, 40, keys=(99,)), packets(0, 40, hidden=(0, 40))],
    ids=["no packets", "no key frame", "all hidden"],
)
def test_a_track_without_a_frame_is_rejected(unusable: list[Packet]) -> None:
    with pytest.raises(InputRejected, match="no frame"):
        measure_timing(unusable, MILLISECOND)


def test_a_varying_source_lasts_to_the_end_of_its_last_frame() -> None:
    ticks = [0, 33, 67, 100, 133, 1000]
    timing = measure_timing(packets(*ticks, duration=500), MILLISECOND)
    expected = FrameTiming(first=Fraction(0), rate=Fraction(30), constant=False, steady=False, total_frames=45)  # 1.5 s
    assert timing == expected


def test_a_last_frame_of_unknown_length_stays_as_long_as_most() -> None:
    timing = measure_timing(packets(0, 40, 80, 120, 400, duration=0), MILLISECOND)
    expected = FrameTiming(first=Fraction(0), rate=PAL, constant=False, steady=False, total_frames=11)  # 0.44 s
    assert timing == expected


def test_no_more_packets_are_read_than_a_video_may_have() -> None:
    assert list(first_lines(2, ["1", "2"])) == ["1", "2"]
    with pytest.raises(InputRejected, match="more than 2 packets"):
        list(first_lines(2, itertools.repeat("")))


def test_four_frames_do_not_become_half_a_day() -> None:
    """60 a second by their distance, and the third one stays for 12 hours."""
    with pytest.raises(InputRejected, match="4 frames, but would become 2592002"):
        measure_timing(packets(0, 17, 34, 43_200_000), MILLISECOND)


def test_slides_may_stand_long() -> None:
    slides = packets(*range(0, 20_000_000, 10_000), duration=10_000)
    assert measure_timing(slides, MILLISECOND).total_frames == 100_000
    assert measure_timing(packets(0, 17, 34, 1_600_000), MILLISECOND).total_frames in range(95_000, 97_000)


def test_a_single_frame_stays_as_long_as_it_says() -> None:
    assert measure_timing(packets(0, duration=2000), MILLISECOND).total_frames == 50
    assert measure_timing(packets(0, duration=0), MILLISECOND).total_frames == 1


@pytest.mark.parametrize(
    ("milliseconds", "steady"),
    [
        ([round(n * 1000 / 120) for n in range(240)], True),
        ([round(n * 1000 / 240) for n in range(240)], True),
        ([round(n * 1000 / 16) for n in range(50)], True),
        ([0], True),
        ([0, 0, 0], False),
        ([0, 33, 67, 100, 133, 1000], False),
        ([*range(0, 800, 8), *range(840, 1600, 8)], False),
    ],
    ids=["120", "240", "16", "one frame", "at once", "a long one", "with a hole"],
)
def test_frames_that_come_evenly_are_steady_at_any_rate(milliseconds: list[int], *, steady: bool) -> None:
    timing = measure_timing(packets(*milliseconds), MILLISECOND)
    assert (timing.constant, timing.steady) == (False, steady)


@pytest.mark.parametrize("film", [Fraction(24), Fraction(24000, 1001)], ids=str)
@pytest.mark.parametrize("behind", [0, Fraction(1, 3), Fraction(5, 6)])
def test_the_stated_rate_counts_where_rounded_times_do_not_tell_two_apart(film: Fraction, behind: Fraction) -> None:
    """Half a second in whole milliseconds: both rates have each frame within a millisecond of its place."""
    times = packets(*(int(1000 * n / film + behind) for n in range(12)))
    assert measure_timing(times, MILLISECOND, stated=film).rate == film
    assert measure_timing(times, MILLISECOND, stated=Fraction(30)).rate in (24, Fraction(24000, 1001))


def test_a_stated_rate_that_the_times_contradict_does_not_count() -> None:
    times = packets(*(round(1000 * n / Fraction(24000, 1001)) for n in range(96)))
    assert measure_timing(times, MILLISECOND, stated=Fraction(24)).rate == Fraction(24000, 1001)


@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=200))
def test_every_track_with_a_key_frame_in_front_has_a_timing(ticks: list[int]) -> None:
    timing = measure_timing(packets(*sorted(ticks)), MILLISECOND)
    assert timing.total_frames >= 1
    assert timing.first == Fraction(min(ticks), 1000)


def media(**fields: object) -> MediaInfo:
    return parse_ffprobe(ffprobe_json(a_video_track(**fields), an_audio_track()))


def announced(seconds: float | None) -> MediaInfo:
    return media() if seconds is None else media(duration=str(seconds))


def timing(seconds: int, *, first: Fraction = Fraction(0), constant: bool = True) -> FrameTiming:
    return FrameTiming(first=first, rate=PAL, constant=constant, steady=constant, total_frames=25 * seconds)


@pytest.mark.parametrize(
    ("seconds", "there"),
    [(100, 89), (10, 7), (3600, 3000)],
)
def test_a_source_that_ends_long_before_it_says_is_rejected(seconds: int, there: int) -> None:
    with pytest.raises(InputRejected, match=f"{there}.0 of {seconds}.0 s"):
        source_facts(announced(seconds), timing(there), demuxer="mov", remuxed=False)


@pytest.mark.parametrize(
    ("seconds", "there"),
    [(100, 91), (10, 8), (0.5, 1), (None, 1)],
)
def test_a_source_that_ends_a_little_early_is_not(seconds: float | None, there: int) -> None:
    assert source_facts(announced(seconds), timing(there), demuxer="mov", remuxed=False).total_frames


def test_a_clock_that_starts_late_is_no_truncation() -> None:
    """Matroska announces the end on its clock; a copied transport stream begins anywhere."""
    late = timing(10, first=Fraction(5000))
    assert source_facts(announced(5010), late, demuxer="matroska", remuxed=True).total_frames == 250


@pytest.mark.parametrize(
    ("fields", "constant", "codes"),
    [
        ({}, True, []),
        ({}, False, ["variable_frame_rate"]),
        ({"side_data_list": turned(90), "field_order": "tt"}, True, ["rotated", "interlaced"]),
        ({"color_transfer": "smpte2084"}, True, ["hdr"]),
        ({"sample_aspect_ratio": "64:45"}, True, ["anamorphic"]),
    ],
)
def test_warnings(fields: dict[str, object], constant: bool, codes: list[str]) -> None:  # noqa: FBT001
    facts = source_facts(media(**fields), timing(1, constant=constant), demuxer="mov", remuxed=False)
    assert [warning.code for warning in facts.warnings] == codes


def test_missing_audio_and_streams_that_are_not_used_are_warned_of() -> None:
    silent = parse_ffprobe(ffprobe_json(a_video_track(), {"codec_type": "data"}))
    facts = source_facts(silent, timing(1), demuxer="mov", remuxed=False)
    assert facts.warnings == (Notice(code=SourceWarning.NO_AUDIO), Notice(code=SourceWarning.STREAMS_IGNORED, count=1))
    assert [stream.used for stream in facts.streams] == [True, False]


def test_a_copy_is_described_by_the_streams_of_the_uploaded_file() -> None:
    german = an_audio_track(tags={"language": "deu"})
    source = parse_ffprobe(ffprobe_json({"codec_type": "data"}, an_audio_track(), a_video_track(), german))
    copied = parse_ffprobe(ffprobe_json(a_video_track(), an_audio_track(), an_audio_track())).as_copied_from(source)
    facts = source_facts(copied, timing(1), demuxer="matroska", remuxed=True, source=source)
    assert (facts.video.index, facts.video.source_index) == (0, 2)
    assert [(each.index, each.source_index, each.language) for each in facts.audio] == [(1, 1, ""), (2, 3, "deu")]
    assert [stream.used for stream in facts.streams] == [False, True, True, True]


@pytest.mark.parametrize(
    ("lengths", "exact", "constant", "frames"),
    [
        ((10, 10, 10, 10), True, True, 4),
        ((10, 10, 10, 40), True, False, 7),
        ((10, 10, 10, 40), False, True, 4),
        ((10, 10, 20, 40), True, False, 8),
    ],
)
def test_frames_of_animated_images_stay_as_long_as_they_say(
    *, lengths: tuple[int, ...], exact: bool, constant: bool, frames: int
) -> None:
    times = [sum(lengths[:number]) for number in range(len(lengths))]
    packets = [Packet(time, length, key=not time, discard=False) for time, length in zip(times, lengths, strict=True)]
    timing = measure_timing(packets, Fraction(1, 100), exact=exact)
    assert (timing.constant, timing.rate, timing.total_frames) == (constant, Fraction(10), frames)
