"""Checks of mpv and VLC with an installation's videos, for the columns of the table that they have.

As in `checks`: a function for each column, which returns what was seen and raises AssertionError.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.browser.material import CUES, HEIGHTS, RATE, SECONDS, SHORT_SECONDS, Material
from tests.browser.programs import Mpv, Vlc, mpv, vlc


@dataclass(frozen=True, slots=True)
class Run:
    """The videos for a program. `url`: the field of the playback document. `folder`: an empty one."""

    url: str
    material: Material
    folder: Path
    screenshot: Path

    @property
    def ladder(self) -> str:
        found: str = self.material.ladder[self.url]
        return found

    @property
    def codecs(self) -> str:
        found: str = self.material.codecs[self.url]
        return found


def mpv_plays(run: Run) -> str:
    with mpv(run.ladder, run.folder) as player:
        return _mpv_to_the_end(player, SECONDS)


def mpv_seeks(run: Run) -> str:
    with mpv(run.ladder, run.folder) as player:
        for start in (17.0, 3.88, 22.0, 7.52):
            player.seek(start)
        _mpv_is_well(player)
    return "to the frame"


def mpv_switches_audio(run: Run) -> str:
    with mpv(run.ladder, run.folder) as player:
        tracks = [track for track in player.property("track-list") if track["type"] == "audio"]
        assert [track["lang"] for track in tracks] == ["en", "de"], tracks
        for track in tracks[::-1]:
            player.set("aid", track["id"])
            player.set("pause", value=False)
            here = player.property("time-pos")
            player.until(lambda start=here: player.property("time-pos") > start + 1, "stands still")  # type: ignore[misc]
            assert player.property("current-tracks/audio/id") == track["id"]
        _mpv_is_well(player)
    return "en, de"


def mpv_shows_text(run: Run) -> str:
    with mpv(run.ladder, run.folder) as player:
        if run.url == "hls_url":  # its demuxer has no subtitles: people add the file
            player.add_text(run.material.ladder["texts"][0]["url"], "de")
        texts = [track for track in player.property("track-list") if track["type"] == "sub"]
        assert [text["lang"] for text in texts] == ["de"], texts
        player.set("sid", texts[0]["id"])
        player.set("pause", value=False)
        for words in CUES.values():  # without seeking, which not every demuxer can
            player.until(lambda words=words: player.property("sub-text") == words, f"no {words!r}")  # type: ignore[misc]
            if words == "zwei":
                player.screenshot(run.screenshot)
        _mpv_is_well(player)
    return f"{len(CUES)} cues"


def mpv_switches_level(run: Run) -> str:
    with mpv(run.ladder, run.folder) as player:
        videos = {track["demux-h"]: track["id"] for track in player.property("track-list") if track["type"] == "video"}
        assert set(videos) == set(HEIGHTS), videos
        for height in sorted(videos):
            player.set("vid", videos[height])
            player.until(lambda height=height: player.property("video-params/h") == height, f"no {height}")  # type: ignore[misc]
        _mpv_is_well(player)
    return " → ".join(map(str, sorted(videos)))


def mpv_plays_surround(run: Run) -> str:
    with mpv(run.codecs, run.folder, "--aid=2") as player:
        assert player.property("current-tracks/audio/codec") == "opus"
        _mpv_to_the_end(player, SHORT_SECONDS)
        return "5.1" if player.property("audio-params/channel-count") == 6 else "stereo"


def _mpv_plays_codec(codec: str, number: int) -> Callable[[Run], str]:
    def check(run: Run) -> str:
        with mpv(run.codecs, run.folder, f"--vid={number}") as player:
            assert player.property("current-tracks/video/codec") == codec
            return _mpv_to_the_end(player, SHORT_SECONDS)

    return check


def _mpv_to_the_end(player: Mpv, seconds: int) -> str:
    player.set("speed", 2)
    player.set("pause", value=False)
    player.until(lambda: bool(player.property("eof-reached")), "no end")
    frames = player.property("estimated-frame-number")
    assert abs(player.property("time-pos") - seconds) < 0.1, f"ends at {player.property('time-pos')} s"
    assert abs(frames - seconds * RATE) <= 1, f"{frames} frames"
    _mpv_is_well(player)
    return f"{frames} frames"


def _mpv_is_well(player: Mpv) -> None:
    assert not player.errors(), "; ".join(player.errors()[:3])


def vlc_plays(run: Run) -> str:
    with vlc(run.ladder, run.folder) as player:
        return _vlc_to_the_end(player, SECONDS)


def vlc_seeks(run: Run) -> str:
    with vlc(run.ladder, run.folder) as player:
        for start in (17, 4, 20, 8):
            player.command(f"seek {start}")
            player.until(lambda start=start: start <= player.number("get_time") < start + 3, f"seek to {start} s")  # type: ignore[misc]
            shown = player.statistic("frames displayed")
            player.until(lambda shown=shown: player.statistic("frames displayed") > shown, "no frame")  # type: ignore[misc]
    return "yes"


def vlc_switches_audio(run: Run) -> str:
    with vlc(run.ladder, run.folder) as player:
        player.until(lambda: len(player.tracks("atrack")) == 2, "no two audio tracks")
        german = next(number for number, name in player.tracks("atrack").items() if "[German]" in name)
        player.command(f"atrack {german}")
        player.until(lambda: player.tracks("atrack")[german].endswith("*"), "not chosen")
        played = player.statistic("buffers played")
        player.until(lambda: player.statistic("buffers played") > played + 40, "no audio after the change")
    return "en, de"


def vlc_shows_text(run: Run) -> str:
    """Chooses the text, and takes a screenshot of the second cue: a remote control cannot read it."""
    with vlc(run.ladder, run.folder) as player:
        player.until(lambda: bool(player.tracks("strack")), "no text")
        ((number, name),) = player.tracks("strack").items()
        assert "German" in name, name
        player.command(f"strack {number}")
        player.until(lambda: player.tracks("strack")[number].endswith("*"), "not chosen")
        player.command("seek 7")
        player.until(lambda: player.number("get_time") >= 8, "stands still")
        player.command("snapshot")
        player.until(lambda: bool(list(run.folder.glob("*.png"))), "no screenshot")
    shutil.copy(next(run.folder.glob("*.png")), run.screenshot)
    return "chosen (screenshot)"


def vlc_plays_surround(run: Run) -> str:
    with vlc(run.codecs, run.folder) as player:
        return _vlc_to_the_end(player, SHORT_SECONDS)


def _vlc_plays_codec(rendition: str) -> Callable[[Run], str | None]:
    """By its own playlist: VLC begins with the codec that it likes, and lets nobody choose."""

    def check(run: Run) -> str | None:
        if run.url == "dash_url":
            return None
        with vlc(run.codecs.replace("master.m3u8", f"{rendition}/index.m3u8"), run.folder) as player:
            return _vlc_to_the_end(player, SHORT_SECONDS)

    return check


def _vlc_to_the_end(player: Vlc, seconds: int) -> str:
    """Count decoded frames: a busy machine shows fewer, since some come too late."""
    player.until(lambda: player.number("get_time") >= seconds - 1, "no end")
    player.until(lambda: player.frames_decoded() >= (seconds - 1) * RATE, "frames are missing")
    assert not player.errors(), "; ".join(player.errors()[:3])
    return f"{player.frames_decoded():.0f} frames"


MPV: dict[str, Callable[[Run], str | None]] = {
    "plays": mpv_plays,
    "seeks": mpv_seeks,
    "audio tracks": mpv_switches_audio,
    "text": mpv_shows_text,
    "rungs": mpv_switches_level,
    "Opus": mpv_plays_surround,
    "VP9": _mpv_plays_codec("vp9", 2),
    "AV1": _mpv_plays_codec("av1", 3),
}
VLC: dict[str, Callable[[Run], str | None]] = {
    "plays": vlc_plays,
    "seeks": vlc_seeks,
    "audio tracks": vlc_switches_audio,
    "text": vlc_shows_text,
    "Opus": vlc_plays_surround,
    "VP9": _vlc_plays_codec("360p-vp9"),
    "AV1": _vlc_plays_codec("360p-av1"),
}
