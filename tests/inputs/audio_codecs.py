"""Codecs, sample rates and layouts of audio, beside a plain video. All of it becomes stereo of 48 kHz."""

from tests.inputs.case import Case, Plays, Tone
from tests.inputs.making import AAC, H264, card, ffmpeg

TITLE = "Audio codecs, rates and layouts"


def _audio(key: str, what: str, extension: str, options: str, why: str, *, codec: str, within: float = 0.02) -> Case:
    video = {"avi": "-c:v mpeg4 -q:v 3", "wmv": "-c:v wmv2 -q:v 3"}.get(extension, H264)
    return Case(
        key=key,
        what=what,
        make=card(extension, f"{video} {options}", frames=50),
        outcome=Plays(frames=50, beeps_within=within, media={"audio_codec": codec}),
        why=why,
    )


def _layout(key: str, what: str, layout: str, lit: str, tones: tuple[Tone, ...], *, why: str, codec: str) -> Case:
    """Return a case whose audio is a tone of 440 Hz in one channel of a layout, and silence in all others."""
    channels = "|".join("0.5*sin(2*PI*440*t)" if name == lit else "0" for name in _CHANNELS[layout])
    source = f"-f lavfi -i aevalsrc='{channels}':channel_layout={layout}:sample_rate=48000:duration=1"
    return Case(
        key=key,
        what=what,
        make=ffmpeg(
            f"-f lavfi -i testsrc2=size=160x90:rate=25:duration=1 {source} {H264} {codec} source.mkv",
            source="source.mkv",
        ),
        outcome=Plays(card=None, tones=tones),
        why=why,
    )


_CHANNELS = {
    "mono": ("FC",),
    "stereo": ("FL", "FR"),
    "quad": ("FL", "FR", "BL", "BR"),
    "5.1": ("FL", "FR", "FC", "LFE", "BL", "BR"),
    "7.1": ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
_BOTH = (Tone(start=0.1, end=0.9, hertz=440),)
_LEFT = (Tone(start=0.1, end=0.9, hertz=440, channel=0), Tone(start=0.1, end=0.9, channel=1))
_RIGHT = (Tone(start=0.1, end=0.9, channel=0), Tone(start=0.1, end=0.9, hertz=440, channel=1))

CASES = (
    _audio("mp3-mp4", "MP3 in MP4.", "mp4", "-c:a libmp3lame", "Some editors write it.", codec="mp3", within=0.04),
    _audio("mp3-mkv", "MP3 in Matroska.", "mkv", "-c:a libmp3lame", "Films have it.", codec="mp3", within=0.04),
    _audio("ac3-ts", "AC-3 in a transport stream.", "ts", "-c:a ac3", "Broadcasts and discs.", codec="ac3"),
    _audio("eac3-mp4", "E-AC-3 in MP4.", "mp4", "-c:a eac3", "Streaming services use it.", codec="eac3"),
    _audio("opus-webm", "Opus in Matroska.", "mkv", "-c:a libopus", "Browsers record it.", codec="opus"),
    _audio("opus-mp4", "Opus in MP4.", "mp4", "-c:a libopus", "Browsers record it.", codec="opus"),
    _audio("vorbis-mkv", "Vorbis in Matroska.", "mkv", "-c:a libvorbis", "Free software writes it.", codec="vorbis"),
    _audio("flac-mkv", "FLAC in Matroska.", "mkv", "-c:a flac", "Archives keep it.", codec="flac"),
    _audio(
        "flac-mp4", "FLAC in MP4.", "mp4", "-c:a flac -sample_fmt s16 -strict -2", "Archives keep it.", codec="flac"
    ),
    _audio("alac-mov", "ALAC in QuickTime.", "mov", "-c:a alac", "Editors export it.", codec="alac"),
    _audio("mp2-ts", "MP2 in a transport stream.", "ts", "-c:a mp2", "Broadcasts.", codec="mp2"),
    _audio("dts-mkv", "DTS in Matroska.", "mkv", "-c:a dca -strict -2", "Discs have it.", codec="dts"),
    _audio("truehd-mkv", "TrueHD in Matroska.", "mkv", "-c:a truehd -strict -2", "Discs have it.", codec="truehd"),
    _audio("pcm-24-mov", "PCM of 24 bits in QuickTime.", "mov", "-c:a pcm_s24le", "Cameras.", codec="pcm_s24le"),
    _audio("pcm-float-mov", "PCM of floats in QuickTime.", "mov", "-c:a pcm_f32le", "Editors.", codec="pcm_f32le"),
    _audio("pcm-be-mov", "PCM of 16 bits, big-endian.", "mov", "-c:a pcm_s16be", "Cameras.", codec="pcm_s16be"),
    _audio("pcm-8-avi", "PCM of 8 bits in AVI.", "avi", "-c:a pcm_u8", "Old capture cards.", codec="pcm_u8"),
    _audio("mulaw-mov", "G.711 in QuickTime.", "mov", "-c:a pcm_mulaw -ar 8000", "Cameras.", codec="pcm_mulaw"),
    _audio("adpcm-avi", "ADPCM in AVI.", "avi", "-c:a adpcm_ima_wav", "Old cameras.", codec="adpcm_ima_wav"),
    _audio("adpcm-ms", "Microsoft's ADPCM in AVI.", "avi", "-c:a adpcm_ms", "Old PCs.", codec="adpcm_ms"),
    _audio("adpcm-mov", "ADPCM in QuickTime.", "mov", "-c:a adpcm_ima_qt", "Old Macs.", codec="adpcm_ima_qt"),
    _audio("wmav1", "Windows Media Audio 1.", "wmv", "-c:a wmav1", "Old PCs.", codec="wmav1", within=0.06),
    _audio("aac-8k", "AAC of 8 kHz, mono.", "mp4", f"{AAC} -ar 8000 -ac 1", "Phones and calls.", codec="aac"),
    _audio("aac-44k", "AAC of 44.1 kHz.", "mp4", f"{AAC} -ar 44100", "Most music.", codec="aac"),
    _audio("aac-96k", "AAC of 96 kHz.", "mp4", f"{AAC} -ar 96000", "Field recorders.", codec="aac"),
    _audio("flac-192k", "FLAC of 192 kHz.", "mkv", "-c:a flac -ar 192000", "Studios.", codec="flac"),
    _audio("mp3-22k", "MP3 of 22.05 kHz.", "mkv", "-c:a libmp3lame -ar 22050", "Old clips.", codec="mp3", within=0.06),
    _layout("mono", "Mono.", "mono", "FC", _BOTH, why="Both channels of stereo have it.", codec="-c:a aac"),
    _layout(
        "stereo-left",
        "Stereo with a tone on the left.",
        "stereo",
        "FL",
        _LEFT,
        why="Channels are not swapped.",
        codec="-c:a aac",
    ),
    _layout(
        "stereo-right",
        "Stereo with a tone on the right.",
        "stereo",
        "FR",
        _RIGHT,
        why="Channels are not swapped.",
        codec="-c:a aac",
    ),
    _layout(
        "5.1-center",
        "5.1 with a tone in the center, where speech is.",
        "5.1",
        "FC",
        _BOTH,
        why="The center goes to both sides.",
        codec="-c:a aac",
    ),
    _layout(
        "5.1-back",
        "5.1 with a tone behind on the left.",
        "5.1",
        "BL",
        _LEFT,
        why="What is behind goes to its side.",
        codec="-c:a ac3",
    ),
    _layout(
        "7.1-side",
        "7.1 with a tone on the right side.",
        "7.1",
        "SR",
        _RIGHT,
        why="What is at the side stays there.",
        codec="-c:a flac",
    ),
    _layout(
        "quad",
        "Four channels with a tone behind on the right.",
        "quad",
        "BR",
        _RIGHT,
        why="What is behind goes to its side.",
        codec="-c:a flac",
    ),
)
