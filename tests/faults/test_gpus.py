"""Jobs on GPUs through the whole product: the calls drivers see, who has their sessions, and how they die."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.playing import Player
from tests.faults.conftest import FAST
from tests.faults.gpus import DEVICE_SLOTS, SYSTEM_SLOTS, Gpus, chunks_of, metadata_of
from tests.faults.rig import LEASE_SECONDS, SLACK_SECONDS, Rig, RunningStep, alive
from tests.ffmpeg.golden import shown_numbers
from tests.ffmpeg.sources import AAC, SILENT, Card, make
from tests.servers import ServersOfThisRun

FRAMES = 400
LADDERS, SINGLES = 6, 2
RUNGS = [(720, 720), (480, 480), (360, 360)]
USUAL = {
    "tuning": "hq",
    "rate_control": "vbr",
    "gop": 50,
    "idr_period": 50,
    "b_frames": 3,
    "b_references": "middle",
    "profile": "high",
    "frame_rate": "25/1",
}

pytestmark = pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this machine has an NVIDIA driver")


@pytest.fixture(scope="module")
def running_gpus(servers: ServersOfThisRun, running_rig: Rig) -> Iterator[Gpus]:
    gpus = Gpus(running_rig)
    try:
        yield gpus
    finally:
        gpus.close()


@pytest.fixture
def gpus(running_gpus: Gpus, rig: Rig) -> Iterator[Gpus]:
    """Two devices that two nodes have verified, in order at the beginning of each test."""
    running_gpus.heal()
    yield running_gpus
    running_gpus.mend()  # a job may wait for that


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen seconds with audio: four segments, two chunks."""
    card = Card(rate=Fraction(25), frames=FRAMES, width=320, height=180)
    return make(tmp_path_factory.mktemp("film") / "film.mp4", card, *FAST, *AAC)


@pytest.fixture(scope="module")
def glimpse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second whose ladder has three rungs."""
    card = Card(rate=Fraction(25), frames=12, width=720, height=720)
    return make(tmp_path_factory.mktemp("glimpse") / "glimpse.mp4", card, *FAST, *SILENT)


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds that no encoder makes small by itself."""
    card = Card(rate=Fraction(25), frames=50, width=480, height=480, video_filter="noise=alls=80:allf=t")
    return make(tmp_path_factory.mktemp("noise") / "noise.mp4", card, *FAST, *SILENT)


def video_of(rig: Rig, job: str, folder: Path) -> Path:
    """A job's only rendition as a player has it, played to its end."""
    (video,) = rig.one("SELECT video_id::text FROM jobs_job WHERE id = %s", job)
    with closing(Player()) as player, closing(rig.client()) as client:
        addresses = player.renditions(client.playback(video)["hls_url"])
        (url,) = (url for name, url in addresses.items() if name != "audio")
        return player.save(url, folder / f"{job}.mp4")


def mp4_of(rig: Rig, job: str, folder: Path) -> Path:
    """The progressive file of a job's only rendition."""
    path = folder / f"{job}-progressive.mp4"
    with closing(Player()) as player, closing(rig.client()) as client:
        (mp4,) = (each for each in client.outputs(job)["outputs"] if each["type"] == "mp4")
        path.write_bytes(player.get(mp4["url"]).content)
    return path


def probed(path: Path) -> list[str]:
    """Codec, profile, B-frames and number of frames, as ffprobe finds them."""
    entries = "stream=codec_name,profile,has_b_frames,nb_read_frames"
    command = ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries", entries]
    done = subprocess.run([*command, "-of", "csv=p=0", path], capture_output=True, text=True, check=True)
    return done.stdout.strip().split(",")


def encodes_requested(gpus: Gpus, width: int, height: int) -> list[dict[str, Any]]:
    names = USUAL.keys() | {"preset", "level", "bitrate", "max_bitrate", "vbv_buffer", "quality"}
    return [{name: event[name] for name in names} for event in gpus.encodes(width, height)]


def test_27_a_job_on_a_gpu_is_encoded_as_it_was_requested_and_plays(
    rig: Rig, gpus: Gpus, film: Path, tmp_path: Path
) -> None:
    at_rate = rig.submit(
        film, resolution="320x180", bitrate=300_000, preset="medium", output_format=["hls", "mp4"], gpu="require"
    )
    at_quality = rig.submit(film, resolution="288x162", preset="veryfast")
    rig.completed(at_rate, at_quality)
    for job in (at_rate, at_quality):
        metadata = metadata_of(rig, job)
        assert (metadata["gpu_enabled"], metadata["gpu_codec"]) == (True, "h264_nvenc")
        assert metadata["gpu_device"] in {0, 1}
        assert not {"gpu_fallback", "fallback_reason", "cpu_codec"} & metadata.keys()
        assert metadata["processing_speed"] > 0
        assert chunks_of(rig, job) == [("gpu", "done", 1, 0, "")] * 2
        assert shown_numbers(video_of(rig, job, tmp_path)) == list(range(FRAMES))
    assert probed(mp4_of(rig, at_rate, tmp_path)) == ["h264", "High", "2", str(FRAMES)]
    rates = {"bitrate": 300_000, "max_bitrate": 450_000, "vbv_buffer": 600_000, "quality": 0}
    assert encodes_requested(gpus, 320, 180) == [{**USUAL, **rates, "preset": "p6", "level": 30}] * 2
    quality = {"bitrate": 0, "max_bitrate": 273_375, "vbv_buffer": 0, "quality": 23}
    assert encodes_requested(gpus, 288, 162) == [{**USUAL, **quality, "preset": "p3", "level": 30}] * 2


def test_27_a_job_that_may_not_have_a_gpu_touches_none(rig: Rig, gpus: Gpus, glimpse: Path) -> None:
    before = gpus.encodes(360, 360)
    job = rig.submit(glimpse, resolution="360p", gpu="never")
    rig.completed(job)
    assert gpus.encodes(360, 360) == before
    assert chunks_of(rig, job) == [("cpu", "done", 1, 0, "")]
    metadata = metadata_of(rig, job)
    assert (metadata["gpu_enabled"], metadata["gpu_fallback"]) == (False, False)
    assert metadata["cpu_codec"] == "libx264"


def test_27_twenty_renditions_on_four_processes_never_have_more_sessions_than_slots(
    rig: Rig, gpus: Gpus, glimpse: Path
) -> None:
    gpus.drivers(microseconds=60_000)  # so that encodes meet
    video = rig.inspected(glimpse)
    jobs = [rig.transcode(video, gpu="require") for _ in range(LADDERS)]
    jobs += [rig.transcode(video, resolution="256x256", gpu="require") for _ in range(SINGLES)]
    rig.completed(*jobs)
    encodes = [event for size in (*RUNGS, (256, 256)) for event in gpus.encodes(*size)]
    assert len(encodes) == 3 * LADDERS + SINGLES == 20
    on_device, on_system = gpus.max_at_once({event["pid"] for event in encodes})
    assert on_device <= DEVICE_SLOTS
    assert len(RUNGS) < on_system <= SYSTEM_SLOTS, "several steps at once, and never one too many"
    # An attempt whose lease expired on a busy machine before its encode started is nobody's failure.
    ends = {(queue, state, failures, code) for job in jobs for queue, state, _, failures, code in chunks_of(rig, job)}
    assert ends == {("gpu", "done", 0, "")}
    print(f"most sessions at once: {on_device} on a device, {on_system} on the machine")  # noqa: T201 - a result


def test_27_sessions_that_others_have_are_waited_for(rig: Rig, gpus: Gpus, glimpse: Path) -> None:
    with gpus.taken_by_others():
        jobs = [rig.submit(glimpse, resolution="360p", gpu=policy) for policy in ("prefer", "require")]
        rig.until(lambda: all(busy(rig, job) for job in jobs), 300, lambda: str(gpus.machine.events("refused")))
    rig.completed(*jobs)
    for job in jobs:
        ((queue, state, attempt, failures, _),) = chunks_of(rig, job)
        assert (queue, state, failures) == ("gpu", "done", 0), "nobody is to blame"
        assert attempt > 1
        metadata = metadata_of(rig, job)
        assert metadata["gpu_enabled"]
        assert "gpu_fallback" not in metadata


def busy(rig: Rig, job: str) -> bool:
    return any(code == "device_busy" for *_, code in chunks_of(rig, job))


def test_27_a_driver_that_dies_in_mid_encode_ends_in_a_job_done_by_the_cpu(
    rig: Rig, gpus: Gpus, film: Path, tmp_path: Path
) -> None:
    chunk = in_mid_encode(rig, gpus, film, gpu="prefer")
    gpus.drivers(lost="0,1")
    rig.completed(chunk.job)
    metadata = metadata_of(rig, chunk.job)
    assert (metadata["gpu_enabled"], metadata["gpu_fallback"]) == (False, True)
    assert (metadata["fallback_reason"], metadata["cpu_codec"]) == ("device_lost", "libx264")
    assert not {"gpu_codec", "gpu_device"} & metadata.keys()
    assert [chunk[:2] for chunk in chunks_of(rig, chunk.job) if chunk[0] == "cpu"] == [("cpu", "done")] * 2
    assert not [chunk for chunk in chunks_of(rig, chunk.job) if chunk[:2] == ("gpu", "done")]
    assert shown_numbers(video_of(rig, chunk.job, tmp_path)) == list(range(FRAMES))
    assert not gpus.status()["available"]


def test_27_a_driver_that_spends_more_bits_than_playlists_promise_publishes_nothing_and_is_not_set_aside(
    rig: Rig, gpus: Gpus, noise: Path
) -> None:
    gpus.drivers(unbounded=1)
    fell_back, broken = (rig.submit(noise, resolution="360p", gpu=policy) for policy in ("prefer", "require"))
    assert rig.finished(fell_back, broken) == [("completed", ""), ("failed", "rate_exceeded")]
    metadata = metadata_of(rig, fell_back)
    assert (metadata["gpu_enabled"], metadata["fallback_reason"]) == (False, "rate_exceeded")
    assert [chunk[:4] for chunk in chunks_of(rig, fell_back)] == [("gpu", "failed", 1, 0), ("cpu", "done", 1, 0)]
    assert gpus.status()["available"], "it does as well with the next video"


def test_27_devices_without_nvenc_are_shown_with_the_reason_and_their_jobs_go_to_the_cpu(
    rig: Rig, gpus: Gpus, glimpse: Path
) -> None:
    gpus.drivers(codecs="none")
    gpus.try_again()
    rig.until(lambda: all(map(without_nvenc, gpus.status()["devices"])), 300, lambda: str(gpus.status()))
    status = gpus.status()
    assert (status["available"], status["nvenc_supported"], status["device_count"]) == (False, False, 2)
    job = rig.submit(glimpse, resolution="360p")
    rig.completed(job)
    metadata = metadata_of(rig, job)
    assert (metadata["gpu_enabled"], metadata["gpu_fallback"]) == (False, True)
    assert (metadata["fallback_reason"], metadata["cpu_codec"]) == ("gpu_unavailable", "libx264")


def without_nvenc(device: dict[str, Any]) -> bool:
    """Return True if a device is shown as being there, with no slot and the reason for it."""
    (h264,) = (each for each in device["encoders"] if each["name"] == "h264_nvenc")
    reasoned = "No capable devices found" in h264["reason"] and not h264["available"]
    return reasoned and device["slots"]["total"] == 0 and not device["error"]


def test_27_a_job_that_requires_a_gpu_waits_for_it_to_come_back_or_fails_with_the_reason(
    rig: Rig, gpus: Gpus, film: Path, glimpse: Path
) -> None:
    chunk = in_mid_encode(rig, gpus, film, gpu="require", gpu_device=0)
    gpus.drivers(lost="0")
    rig.until(lambda: waits(rig, chunk.job), 300, lambda: str(chunks_of(rig, chunk.job)))
    assert {chunk[0] for chunk in chunks_of(rig, chunk.job)} == {"gpu"}, "the CPU is not command"
    assert any(code == "device_lost" for *_, code in chunks_of(rig, chunk.job)), chunks_of(rig, chunk.job)

    impatient = rig.submit(glimpse, resolution="360p", gpu="require", gpu_device=0)
    rig.until(lambda: waits(rig, impatient), 300)
    rig.all(
        "UPDATE jobs_job SET waiting_since = waiting_since - interval '1 day' WHERE id = %s RETURNING id", impatient
    )
    assert rig.finished(impatient) == [("failed", "gpu_unavailable")]
    (detail,) = rig.one("SELECT error_detail FROM jobs_job WHERE id = %s", impatient)
    assert detail == "no GPU that can encode it was there for 300 s"

    gpus.drivers()
    gpus.try_again()
    rig.completed(chunk.job)
    metadata = metadata_of(rig, chunk.job)
    assert (metadata["gpu_enabled"], metadata["gpu_device"]) == (True, 0)
    assert "gpu_fallback" not in metadata


def waits(rig: Rig, job: str) -> bool:
    return rig.one("SELECT waiting_since IS NOT NULL FROM jobs_job WHERE id = %s", job) == (True,)


def test_27_a_killed_worker_s_slots_are_shown_until_its_ffmpeg_is_gone_and_free_within_the_lease(
    rig: Rig, gpus: Gpus, film: Path
) -> None:
    chunk = in_mid_encode(rig, gpus, film, gpu="require", gpu_device=0)
    gpus.drivers(microseconds=1_000_000)  # so that none of them ends by itself
    rig.until(lambda: gpus.slots_used() == {"GPU-0": 2, "GPU-1": 0}, 180, lambda: str(gpus.slots_used()))
    (ffmpeg,) = rig.ffmpegs_of(chunk.pid)
    node = next(node for node in gpus.nodes if chunk.pid in rig.session(node))
    rig.kill(node)
    gpus.drivers()  # what begins after the fault need not wait

    def freed() -> bool:
        if holds(rig, chunk):
            return False
        assert not alive(ffmpeg), "a slot is free and its ffmpeg runs"
        return True

    rig.until(freed, LEASE_SECONDS + SLACK_SECONDS)
    rig.completed(chunk.job)
    assert rig.step(chunk.id) == ("done", 2, 0), "one more attempt, and nobody is charged with a failure"
    assert gpus.slots_used() == {"GPU-0": 0, "GPU-1": 0}
    assert metadata_of(rig, chunk.job)["gpu_enabled"]


def in_mid_encode(rig: Rig, gpus: Gpus, film: Path, **request: object) -> RunningStep:
    """A chunk of which a GPU has encoded the first segment and not the second, on which it has over a minute to go."""
    gpus.drivers(microseconds=5_000, slow_after=130, slow_microseconds=1_000_000)
    return rig.chunk_in_the_middle(rig.submit(film, **request))


def holds(rig: Rig, chunk: RunningStep) -> bool:
    """Return True if an attempt's sessions still count as used."""
    return bool(
        rig.all(
            "SELECT FROM jobs_step WHERE id = %s AND attempt = %s AND sessions > 0 AND lease_expires_at > now()",
            chunk.id,
            chunk.attempt,
        )
    )
