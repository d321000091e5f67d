"""Files that have audio and no video."""

from collections.abc import Mapping

from tests.inputs.case import Case, Maker, Plays, Refused, Tone
from tests.inputs.making import AAC, audio_file, content, edited, ffmpeg, joined, then
from transcoding.sniffing.refused import ACCEPTED

TITLE = "Audio alone"

_COVER = (
    "-f lavfi -i nullsrc=size=96x96:rate=25:duration=0.04,geq=random(1)*255:128:128 -i {} -map 1:a -map 0:v -c:a copy"
    " -disposition:v:0 attached_pic"
)
"""Adds a cover of noise, larger than the first bytes that are looked at."""


def _audio(
    key: str,
    what: str,
    make: Maker,
    why: str,
    *,
    seconds: int = 1,
    within: float = 0.02,
    frames: int | None = None,
    media: Mapping[str, object] | None = None,
    request: Mapping[str, object] | None = None,
    **more: object,
) -> Case:
    """A file whose beep, at half a second, is in an audio rendition of its length."""
    plays = Plays(
        video=False,
        frames=frames or 25 * seconds,
        card=None,
        beeps_within=within,
        media={"width": None, "height": None, "frame_rate": None, **(media or {})},
        **{"warnings": ("no_video",), "beeps": tuple(0.5 + n for n in range(seconds)), **more},  # type: ignore[arg-type]
    )
    return Case(key=key, what=what, make=make, outcome=plays, why=why, request=request or {})


def _without_length(data: bytes) -> bytes:
    """Write the sizes that say "to the end"."""
    at = data.index(b"data") + 4
    return data[:4] + b"\xff" * 4 + data[8:at] + b"\xff" * 4 + data[at + 4 :]


CASES = (
    _audio(
        "audio-m4a",
        "AAC in MP4 (`.m4a`).",
        audio_file("m4a", AAC),
        "Phones record it. Its edit list hides the priming, so the outputs start where a player does.",
        media={"container": "mov", "codec": "aac", "audio_codec": "aac"},
    ),
    _audio(
        "audio-m4b",
        "An audiobook: AAC in MP4 with chapters and a cover.",
        then(
            audio_file("m4a", AAC, seconds=2),
            _COVER + " -c:v mjpeg -metadata title=a with-cover.m4b",
            source="with-cover.m4b",
        ),
        "A cover is no video track.",
        seconds=2,
        media={"container": "mov", "codec": "aac"},
        warnings=("no_video", "streams_ignored"),
    ),
    _audio(
        "audio-alac",
        "Apple Lossless in MP4.",
        audio_file("m4a", "-c:a alac"),
        "Music libraries have it.",
        media={"codec": "alac"},
    ),
    _audio(
        "audio-mp3",
        "MP3 with a tag and an index.",
        audio_file("mp3", "-c:a libmp3lame -b:a 96k -metadata title=a"),
        "Its index tells how much of its first and last frame is heard.",
        media={"container": "mp3", "codec": "mp3"},
    ),
    _audio(
        "audio-mp3-cover",
        "MP3 behind an ID3 tag with a cover.",
        then(
            audio_file("mp3", "-c:a libmp3lame -b:a 96k"),
            _COVER + " -c:v png -id3v2_version 3 cover.mp3",
            source="cover.mp3",
        ),
        "The first bytes are those of the cover; what follows the tag counts.",
        media={"container": "mp3", "codec": "mp3"},
        warnings=("no_video", "streams_ignored"),
    ),
    _audio(
        "audio-mp3-bare",
        "MP3 without tag and index, cut out of a longer one in the middle of a frame.",
        edited(
            audio_file("mp3", "-c:a libmp3lame -b:a 96k -write_xing 0 -id3v2_version 0 -write_id3v1 0", seconds=2),
            lambda data: data[len(data) // 2 + 100 :],
        ),
        "Recordings of streams begin anywhere. What lies before the first whole frame is passed over.",
        within=0.08,
        frames=26,
        media={"container": "mp3"},
    ),
    _audio(
        "audio-mp2",
        "MPEG audio, layer II.",
        audio_file("mp2", "-c:a mp2 -b:a 192k"),
        "Broadcasters have it. It has no field for its priming, which is heard.",
        within=0.05,
        frames=26,
        media={"container": "mp3", "codec": "mp2"},
    ),
    _audio(
        "audio-adts",
        "AAC as a bare stream (ADTS).",
        audio_file("aac", AAC),
        "Radio recorders write it. Nothing distinguishes its priming from the audio, so it is heard.",
        within=0.06,
        frames=26,
        media={"container": "aac", "codec": "aac"},
    ),
    _audio(
        "audio-adts-tagged",
        "The same behind an ID3 tag.",
        edited(audio_file("aac", AAC), lambda data: b"ID3\x04\x00\x00\x00\x00\x0f\x76" + bytes(2038) + data),
        "Segments of HLS that were saved begin that way.",
        within=0.06,
        frames=26,
        media={"container": "aac"},
    ),
    _audio(
        "audio-wav",
        "PCM of 16 bits in WAV.",
        audio_file("wav", "-c:a pcm_s16le"),
        "Every editor writes it.",
        media={"container": "wav", "codec": "pcm_s16le"},
    ),
    _audio(
        "audio-wav-24",
        "PCM of 24 bits in WAV of the extensible kind, 5.1 channels.",
        audio_file("wav", "-c:a pcm_s24le -ac 6"),
        "Mixed down to stereo like any audio track.",
        media={"container": "wav", "codec": "pcm_s24le", "audio_channels": 6},
    ),
    _audio(
        "audio-wav-float",
        "PCM of 64-bit floating point in WAV, 96 kHz.",
        audio_file("wav", "-c:a pcm_f64le -ar 96000"),
        "Editors export it.",
        media={"codec": "pcm_f64le"},
    ),
    _audio(
        "audio-rf64",
        "RF64, the WAV of more than 4 GiB.",
        audio_file("wav", "-c:a pcm_s16le -rf64 always"),
        "Recorders of concerts write it.",
        media={"container": "wav"},
    ),
    _audio(
        "audio-wav-stream",
        "WAV that was written into a pipe, and does not know its length.",
        edited(audio_file("wav", "-c:a pcm_s16le -bitexact"), _without_length),
        "The length is that of what is there.",
        media={"container": "wav"},
    ),
    _audio(
        "audio-wav-mulaw",
        "µ-law of 8 kHz in WAV.",
        audio_file("wav", "-c:a pcm_mulaw -ar 8000 -ac 1"),
        "Telephone systems record it. One channel becomes two.",
        within=0.03,
        media={"codec": "pcm_mulaw", "audio_channels": 1},
    ),
    _audio(
        "audio-w64",
        "Sony Wave64.",
        audio_file("w64", "-c:a pcm_s24le"),
        "Editors export it.",
        media={"container": "w64"},
    ),
    _audio(
        "audio-aiff",
        "AIFF.",
        audio_file("aiff", "-c:a pcm_s16be"),
        "Macs record it.",
        media={"container": "aiff", "codec": "pcm_s16be"},
    ),
    _audio(
        "audio-caf",
        "Apple Lossless in CAF.",
        audio_file("caf", "-c:a alac"),
        "Macs and phones export it.",
        frames=26,
        media={"container": "caf", "codec": "alac"},
    ),
    _audio(
        "audio-au",
        "Sun's AU.",
        audio_file("au", "-c:a pcm_s16be"),
        "Older Unix programs write it.",
        media={"container": "au"},
    ),
    _audio(
        "audio-flac",
        "FLAC.",
        audio_file("flac", "-c:a flac"),
        "Music libraries have it.",
        media={"container": "flac", "codec": "flac"},
    ),
    _audio(
        "audio-flac-cover",
        "FLAC with a cover.",
        then(audio_file("flac", "-c:a flac"), _COVER + " -c:v png cover.flac", source="cover.flac"),
        "A cover is no video track.",
        media={"container": "flac", "codec": "flac"},
        warnings=("no_video", "streams_ignored"),
    ),
    _audio(
        "audio-vorbis",
        "Vorbis in Ogg.",
        audio_file("ogg", "-c:a libvorbis"),
        "Games and free music have it.",
        media={"container": "ogg", "codec": "vorbis"},
    ),
    _audio(
        "audio-opus",
        "Opus in Ogg, mono.",
        audio_file("opus", "-c:a libopus -ac 1"),
        "Messengers send voice notes in it.",
        media={"container": "ogg", "codec": "opus", "audio_channels": 1},
    ),
    _audio(
        "audio-weba",
        "Opus in WebM (`.weba`).",
        audio_file("webm", "-c:a libopus"),
        "Browsers record it.",
        frames=26,
        media={"container": "matroska", "codec": "opus"},
    ),
    _audio(
        "audio-mka",
        "FLAC in Matroska (`.mka`).",
        audio_file("mka", "-c:a flac"),
        "Rippers of discs write it.",
        media={"container": "matroska", "codec": "flac"},
    ),
    _audio(
        "audio-wma",
        "Windows Media Audio in ASF (`.wma`).",
        audio_file("wma", "-c:a wmav2"),
        "Older PCs and recorders wrote it.",
        within=0.06,
        frames=26,
        media={"container": "asf", "codec": "wmav2"},
    ),
    _audio(
        "audio-ac3",
        "AC-3 as a bare stream.",
        audio_file("ac3", "-c:a ac3 -b:a 192k"),
        "The audio of a DVD, taken out.",
        frames=26,
        media={"container": "ac3", "codec": "ac3"},
    ),
    _audio(
        "audio-eac3",
        "E-AC-3 as a bare stream, 5.1 channels.",
        audio_file("eac3", "-c:a eac3 -ac 6"),
        "The audio of a film on demand, taken out.",
        frames=26,
        media={"container": "eac3", "codec": "eac3", "audio_channels": 6},
    ),
    _audio(
        "audio-dts",
        "DTS as a bare stream.",
        audio_file("dts", "-c:a dca -strict -2"),
        "The audio of a disc, taken out.",
        within=0.05,
        frames=26,
        media={"container": "dts", "codec": "dts"},
    ),
    _audio(
        "audio-wavpack",
        "WavPack.",
        audio_file("wv", "-c:a wavpack"),
        "Music libraries have it.",
        media={"container": "wavpack", "codec": "wavpack"},
    ),
    _audio(
        "audio-ts",
        "A transport stream of a radio station: AAC and no video.",
        audio_file("ts", AAC),
        "Receivers record it. It starts at the first sample, wherever its clock is.",
        within=0.06,
        frames=26,
        media={"container": "mpegts", "codec": "aac"},
    ),
    _audio(
        "audio-mov",
        "PCM in QuickTime, no video.",
        audio_file("mov", "-c:a pcm_s16le"),
        "Editors export it.",
        media={"container": "mov", "codec": "pcm_s16le"},
    ),
    _audio(
        "audio-long",
        "MP3 of 13 seconds.",
        audio_file("mp3", "-c:a libmp3lame -b:a 64k", seconds=13),
        "It has four segments, the last of them shorter.",
        seconds=13,
        media={"container": "mp3"},
    ),
    _audio(
        "audio-for-720p",
        "WAV, and a request for 720p in HEVC.",
        audio_file("wav", "-c:a pcm_s16le"),
        "There is no video that the request could apply to; the plan says so.",
        request={"resolution": "720p", "codec": "hevc"},
        media={"container": "wav"},
    ),
    _audio(
        "audio-alone-late",
        "Matroska whose audio begins at ten seconds on its clock.",
        then(audio_file("m4a", AAC), "-i {} -c copy -output_ts_offset 10 late.mka", source="late.mka"),
        "The outputs start with the audio, whenever that is.",
        within=0.03,
        frames=26,
        media={"container": "matroska"},
    ),
    _audio(
        "audio-mp3-joined",
        "Two MP3s, one behind the other in one file.",
        joined(*[audio_file("mp3", "-c:a libmp3lame -b:a 96k")] * 2, extension="mp3"),
        "The index of the first one counts only its own frames; all of them are played.",
        beeps=(0.5, 1.58),
        within=0.1,
        frames=53,
        media={"container": "mp3"},
    ),
    _audio(
        "audio-ts-joined",
        "Two recordings of a radio station in one transport stream: its clock starts again.",
        joined(*[audio_file("ts", AAC)] * 2, extension="ts"),
        "Both parts are played, in the order of the file.",
        beeps=(0.5, 1.54),
        within=0.1,
        frames=52,
        warnings=("no_video", "timestamps_restart"),
        media={"container": "mpegts"},
    ),
    _audio(
        "audio-two-languages",
        "Two audio tracks in Matroska, one of 440 Hz in English, one of 880 Hz in German.",
        ffmpeg(
            "-f lavfi -i sine=440:duration=1 -f lavfi -i sine=880:duration=1 -map 0 -map 1 -c:a flac"
            " -metadata:s:a:0 language=eng -metadata:s:a:1 language=ger -disposition:a:0 0 -disposition:a:1 default"
            " two.mka",
            source="two.mka",
        ),
        "Both are renditions; players begin with the one that the file marks.",
        audio=2,
        beeps=None,
        tones=(Tone(start=0.1, end=0.9, hertz=880),),
        media={"container": "matroska"},
    ),
    _audio(
        "audio-amr",
        "AMR, as phones recorded voices: a second of frames.",
        content(b"#!AMR\n" + (b"\x3c" + bytes(31)) * 50, "source.amr"),
        "Older phones and messengers record it. One channel of 8 kHz becomes two of 48 kHz.",
        beeps=(),
        media={"container": "amr", "codec": "amr_nb", "audio_channels": 1},
    ),
    Case(
        key="audio-none",
        what="Text behind an ID3 tag.",
        make=content(b"ID3\x04\x00\x00\x00\x00\x7f\x76" + bytes(16374) + b"This is no audio. " * 100, "source.mp3"),
        outcome=Refused(
            sentence="the file is not a video in a container that is accepted; convert it to MP4 with H.264 and AAC,"
            f" and upload that (accepted are {ACCEPTED})"
        ),
        why="What follows the tag is looked at, and it is nothing that is accepted.",
    ),
)
