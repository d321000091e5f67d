"""Transcodes by the engine: which encoder, why, and nothing left behind."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.db import transaction

from execution.daemons import poll_until
from execution.process import child_pids
from execution.streaming import StreamRunner
from gpu.models import DeviceReport
from gpu.selectors import nodes_with_free_slots
from gpu.services import device_report
from jobs.leasing.slots import sessions_used
from jobs.models import Step
from jobs.planning.routing import sessions_for
from relay.engines.devices import RelayDevices
from relay.engines.engine import Attempts, EngineError, EngineKind, EngineRequest, EngineRun
from relay.engines.fallback import FallbackPolicy, TranscodeEngine, transcode_engine
from relay.engines.transcode import TranscodeRun
from relay.errors import StartTimeout
from relay.runs.joining import Joining
from tests.drivers.machine import FFMPEG, GpuMachine
from tests.integration.workers.test_gpu_steps import describe
from tests.live_media import Live, measured, stream_of, without_audio
from tests.live_runs import Feeding, open_files, output_of, through
from tests.rows import an_owner
from transcoding.planning.live import LiveProfile

NODE = "relay-1"
REQUEST = EngineRequest(kind=EngineKind.TRANSCODE, container="mpegts")
SHORT = Live(seconds=3)
DEADLINE_SECONDS = 120

pytestmark = pytest.mark.django_db(transaction=True)


def engine(
    *, gpu: bool = False, ffmpeg: str = "", policy: str = "passthrough", cpu_slots: int | None = None
) -> TranscodeEngine:
    config = settings.TRANSCODER
    execution = replace(config.execution, ffmpeg_path=ffmpeg, isolation="none" if ffmpeg else "auto")
    devices = RelayDevices(config, node=NODE) if gpu else None
    runner = StreamRunner(execution, config.limits)
    return TranscodeEngine(runner, policy=FallbackPolicy(policy), devices=devices, cpu_slots=cpu_slots)


def attempts(of: TranscodeEngine, request: EngineRequest = REQUEST) -> Attempts:
    return of.attempts(request, owner_id=an_owner("ann").id)


def served(ways: Attempts, stream: bytes) -> tuple[bytes, EngineRun, list[str]]:
    """Do as the server does: try one way after another over the same bytes. Return the codes of failures, too."""
    failures: list[EngineError] = []
    while True:
        attempt = ways.next(failures[-1] if failures else None)
        try:
            run = attempt.start()
            taken = through(run, stream)
            run.wait()
        except EngineError as error:
            failures.append(error)
            continue
        return taken, run, [each.code for each in failures]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GpuMachine:
    machine = GpuMachine(tmp_path / "machine", devices=1)
    for name, value in machine.environ.items():
        monkeypatch.setenv(name, value)
    return machine


def report(*, slots: int = 2) -> None:
    device_report(node=NODE, machine="m", descriptions=[describe(0, slots=slots)], takes_jobs=False)


def test_a_node_without_gpus_encodes_on_the_cpu_and_misses_nothing() -> None:
    ways = attempts(engine())
    attempt = ways.next()
    assert (attempt.encoder, attempt.fallback) == ("libx264", None)
    run = attempt.start()
    taken = through(run, stream_of(SHORT))
    run.wait()
    assert max(map(abs, measured(taken).offsets())) < 0.005
    assert not Step.objects.exists()


def test_a_node_without_any_gpu_prefers_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.engines.devices._SEARCH_SECONDS", 0)
    monkeypatch.setattr("gpu.reporting.ReporterProcess.ensure_running", lambda _: None)
    config = settings.TRANSCODER
    wanting, having = (transcode_engine(replace(config, gpu=replace(config.gpu, gpu_policy=policy)), node=NODE)
                       for policy in ("require", "prefer"))  # fmt: skip
    for each in (wanting, having):
        assert each.state() == "searching"
        announced = attempts(each).next().fallback
        assert announced is not None
        assert announced.code == "hardware_unavailable"
        each.keep()
        assert each.state() == "none"
    assert attempts(having).next().encoder == "libx264"
    assert attempts(having).next().fallback is None
    assert attempts(wanting).next().fallback is not None, "the policy wants one"


def test_a_node_whose_gpu_cannot_encode_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.engines.devices._SEARCH_SECONDS", 0)
    device_report(node=NODE, machine="m", descriptions=[replace(describe(0), verdicts={})], takes_jobs=False)
    owner = engine(gpu=True)
    assert owner.state() == "unavailable"
    announced = attempts(owner).next().fallback
    assert announced is not None
    assert announced.code == "hardware_unavailable"


def test_without_hardware_a_policy_of_none_refuses() -> None:
    with pytest.raises(EngineError) as refused:
        attempts(engine(gpu=True, policy="none")).next()
    assert refused.value.code == "hardware_unavailable"


def test_hevc_is_encoded_where_it_was_requested() -> None:
    hevc = replace(REQUEST, codec="hevc")
    taken, run, failures = served(attempts(engine(), hevc), stream_of(SHORT))
    assert (run.encoder, failures) == ("libx265", [])
    assert max(map(abs, measured(taken).offsets())) < 0.005
    pieces = Joining().feed(taken)
    assert pieces[-1].head is not None, "viewers can begin"
    assert b"\x24" in pieces[-1].head, "the type of HEVC"


def test_a_run_on_a_device_holds_a_session_of_the_one_book_until_it_ends(machine: GpuMachine) -> None:
    report(slots=1)
    owner = engine(gpu=True, ffmpeg=FFMPEG)
    attempt, second = attempts(owner).next(), attempts(owner)
    assert (attempt.encoder, attempt.fallback) == ("h264_nvenc", None)
    run = attempt.start()
    feeding = Feeding(run, stream_of(SHORT), endless=True)
    assert output_of(run, first=True)
    assert sessions_used() == {"GPU-0": 1}
    with pytest.raises(EngineError, match="all sessions of the GPU are taken") as refused:
        second.next().start()
    for on_cpu in (second.next(refused.value), attempts(owner).next()):
        assert on_cpu.encoder == "libx264"
        assert on_cpu.fallback is not None
        assert on_cpu.fallback.code == "hardware_unavailable"
    run.end()
    assert sessions_used() == {}
    feeding.close()
    output_of(run)
    run.wait()
    assert len(machine.events("open")) == 1


def test_a_device_of_a_relay_is_shown_but_no_job_waits_for_it() -> None:
    report()
    seconds = settings.TRANSCODER.lease.node_silence_seconds
    assert RelayDevices(settings.TRANSCODER, node=NODE).encoders() == {"h264_nvenc"}
    assert sessions_for("h264_nvenc", silence_seconds=seconds) is None
    assert nodes_with_free_slots(silence_seconds=seconds, used={}) == frozenset()
    device_report(node="worker", machine="m", descriptions=[describe(0)])
    assert sessions_for("h264_nvenc", silence_seconds=seconds) == 8
    assert nodes_with_free_slots(silence_seconds=seconds, used={}) == {"worker"}


def test_a_device_without_a_driver_counts_a_failure_and_the_cpu_goes_on() -> None:
    report()
    taken, run, failures = served(attempts(engine(gpu=True, ffmpeg=FFMPEG)), stream_of(SHORT))
    assert (run.encoder, failures) == ("libx264", ["hardware_unavailable"])
    assert measured(taken).flashes
    assert DeviceReport.objects.get().breakers["h264_nvenc"]["failures"] == 1
    assert sessions_used() == {}


def test_a_device_that_is_lost_before_the_first_frame(machine: GpuMachine) -> None:
    report()
    machine.set(lost="0")
    taken, run, failures = served(attempts(engine(gpu=True, ffmpeg=FFMPEG)), stream_of(SHORT))
    assert (run.encoder, failures) == ("libx264", ["hardware_unavailable"])
    assert measured(taken).flashes
    assert sessions_used() == {}


def test_a_lease_that_has_expired_ends_the_encoder(machine: GpuMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may have its session by then."""
    monkeypatch.setattr("relay.engines.devices._RENEW_SECONDS", 0.05)
    report()
    run = attempts(engine(gpu=True, ffmpeg=FFMPEG)).next().start()
    feeding = Feeding(run, stream_of(SHORT), endless=True)
    assert output_of(run, first=True)
    Step.objects.all().delete()
    output_of(run)
    feeding.close()
    assert len(machine.events("open")) == 1


def test_an_encoder_ends_before_its_lease_while_the_database_does_not_answer(
    machine: GpuMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.engines.devices.LEASE_SECONDS", 10)  # which is 5 s for whoever waits
    monkeypatch.setattr("relay.engines.devices._RENEW_SECONDS", 0.05)
    report()
    run = attempts(engine(gpu=True, ffmpeg=FFMPEG)).next().start()
    feeding = Feeding(run, stream_of(SHORT), endless=True)
    assert output_of(run, first=True)
    with transaction.atomic():
        assert Step.objects.select_for_update().get()
        output_of(run)
    feeding.close()
    assert poll_until(lambda: not Step.objects.exists(), DEADLINE_SECONDS)
    assert len(machine.events("open")) == 1


def test_transcodes_on_the_cpu_are_counted() -> None:
    owner = engine(cpu_slots=1, policy="audio")
    first = attempts(owner).next().start()
    ways = attempts(owner)
    with pytest.raises(EngineError) as refused:
        ways.next().start()
    assert refused.value.code == "relay_full"
    copied = ways.next(refused.value)
    assert copied.encoder == "copy"
    assert copied.fallback is not None
    assert copied.fallback.code == "relay_full"
    through(first, b"")
    with pytest.raises(EngineError) as ended:
        first.wait()
    assert ended.value.code == "source_not_media"
    taken, run, _ = served(attempts(owner), stream_of(SHORT))
    assert run.encoder == "libx264"
    assert measured(taken).flashes


def test_a_track_of_audio_that_never_comes_is_done_without() -> None:
    stream = without_audio(stream_of(SHORT), 0, 100)
    ways = attempts(engine())
    waiting = ways.next().start()
    assert isinstance(waiting, TranscodeRun)
    feeding = Feeding(waiting, stream, endless=True)
    assert poll_until(waiting.waits_for_audio, DEADLINE_SECONDS)
    waiting.end()
    output_of(waiting)
    feeding.close()
    attempt = ways.next(StartTimeout("nothing came out of it"))
    assert attempt.fallback is not None
    assert attempt.fallback.code == "audio_missing"
    run = attempt.start()
    found = measured(through(run, stream))
    run.wait()
    assert (found.frames, found.samples) == (75, 0)


def test_radio_is_audio_only() -> None:
    ways = attempts(engine())
    taken, run, failures = served(ways, stream_of(Live(seconds=3, video="")))
    assert (run.encoder, failures) == ("aac", ["video_missing", "video_missing"])
    assert measured(taken).beeps


def test_radio_has_no_size() -> None:
    small = replace(REQUEST, profile=LiveProfile.P720)
    with pytest.raises(EngineError) as refused:
        served(attempts(engine(), small), stream_of(Live(seconds=3, video="")))
    assert refused.value.code == "video_missing"


def test_nothing_is_left_of_a_run_that_is_ended() -> None:
    owner = engine(cpu_slots=4)
    before, descriptors = set(child_pids()), open_files()
    runs = [attempts(owner).next().start() for _ in range(2)]
    feedings = [Feeding(run, stream_of(SHORT), endless=True) for run in runs]
    for run in runs:
        assert output_of(run, first=True)
    ending = [threading.Thread(target=run.end) for run in (*runs, *runs)]
    for thread in ending:
        thread.start()
    for thread in ending:
        thread.join()
    for run, feeding in zip(runs, feedings, strict=True):
        run.wait()
        output_of(run)
        feeding.close()
    assert poll_until(lambda: set(child_pids()) <= before, DEADLINE_SECONDS)
    assert open_files() <= descriptors + 1, "but for the wakeup of the thread that starts them"
