"""Broadcasts from a real publisher through a real ingest server and live workers to a complete video."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from django.conf import settings

from jobs.models import Step
from jobs.rules.steps import StepKind
from livestreams.models import Broadcast, Period, Refusal
from livestreams.services.streams import livestream_stop
from livestreams.states import BroadcastState, RefusalCode
from tests.ffmpeg.golden import shown_frames
from tests.ffmpeg.sources import AAC, BEEP_EVERY_SECONDS, FIRST_BEEP_SECONDS, SILENT, Card, make
from tests.ingest_process import an_ingest, fake_hooks
from tests.live_rig import Rig, answer, wait_for
from tests.live_rows import a_stream
from tests.servers import ServersOfThisRun
from workers.node.flags import SharedFlag
from workers.wiring import tools_from

RATE = 25
AVC = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25", "-crf", "30")


LATE_SECONDS = 2
LATE_AUDIO = f"noise=drop=lt(pts*tb\\,{LATE_SECONDS})"


def assert_beeps_belong_to(frames: Sequence[tuple[Fraction, int]], beeps: Sequence[float]) -> None:
    """Compare each beep with the frame that is shown then. One at a cut may have lost its start, or be none."""
    every, errors = BEEP_EVERY_SECONDS, []
    start = float(frames[0][0])
    for beep in beeps:
        number = frames[min(len(frames) - 1, round((beep - start) * RATE))][1]
        errors.append(abs((number / RATE - FIRST_BEEP_SECONDS + every / 2) % every - every / 2))
    assert len(beeps) > 3
    assert sorted(errors)[-2] <= 1.5 / RATE


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of numbered frames with beeps, a key frame each second."""
    card = Card(rate=Fraction(RATE), frames=30 * RATE, width=192, height=108)
    return make(tmp_path_factory.mktemp("clip") / "clip.flv", card, *AVC, *AAC)


@pytest.fixture(scope="session")
def other_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of larger frames, without audio."""
    card = Card(rate=Fraction(RATE), frames=8 * RATE, first_number=1000, width=320, height=180)
    return make(tmp_path_factory.mktemp("other") / "clip.flv", card, *AVC, *SILENT)


@pytest.fixture
def rig(servers: ServersOfThisRun, s3_server: object, transactional_db: None, tmp_path: Path) -> Iterator[Rig]:
    store = tools_from(settings.TRANSCODER, node="rig", draining=SharedFlag()).store
    store.prepare()
    with ExitStack() as stack:
        hooks = stack.enter_context(fake_hooks())
        hooks.answer = answer
        ingest = stack.enter_context(an_ingest(servers, hooks.url))
        yield Rig(ingest, store, tmp_path, stack)


def test_another_worker_goes_on_where_a_killed_one_was(rig: Rig, clip: Path) -> None:
    """The publisher stays connected. The recording has all frames but those of some seconds, on one timeline."""
    rig.start("one", "two")
    stream = a_stream(reconnect_seconds=1)
    with rig.publishing(stream, clip) as publisher:
        rig.wait_published(stream, 3)
        step = Step.objects.get(kind=StepKind.LIVE)
        rig.workers[step.node].kill()
        killed_at = step.units_done
        rig.wait_published(stream, killed_at + 3)
        assert publisher.wait(120) == 0
    rig.wait_ended(stream)

    frames = shown_frames(rig.recording(stream))
    assert [time for time, _ in frames] == [Fraction(number, RATE) + frames[0][0] for number in range(len(frames))]
    steps = [later - earlier for (_, earlier), (_, later) in pairwise(frames)]
    (lost,) = [step - 1 for step in steps if step != 1]
    logging.getLogger(__name__).warning("lost %.1f s by the kill of a worker", lost / RATE)
    assert (frames[0][1], frames[-1][1]) == (0, 30 * RATE - 1)
    assert lost < 20 * RATE
    assert Period.objects.filter(broadcast=stream.broadcast).count() == 2
    assert_beeps_belong_to(frames, rig.beeps())


def test_a_publisher_that_returns_goes_on_in_the_same_broadcast(rig: Rig, clip: Path, other_clip: Path) -> None:
    """Its audio starts late. It pauses, leaves, and comes back with larger frames and without audio."""
    rig.start("one")
    stream = a_stream(reconnect_seconds=30)
    with rig.publishing(stream, clip, "-c", "copy", "-bsf:a", LATE_AUDIO) as publisher:
        rig.wait_published(stream, 2)
        publisher.send_signal(signal.SIGSTOP)
        time.sleep(5)
        publisher.send_signal(signal.SIGCONT)
        rig.wait_published(stream, 5)
    wait_for(lambda: stream.broadcast.publisher_left_at)
    with rig.publishing(stream, other_clip) as publisher:
        assert publisher.wait(120) == 0
    wait_for(lambda: stream.broadcast.publisher_left_at)
    livestream_stop(livestream=stream.row)
    rig.wait_ended(stream)

    assert Broadcast.objects.count() == 1
    assert Period.objects.count() == 2
    frames = shown_frames(rig.recording(stream))
    times = [time for time, _ in frames]
    assert times == [Fraction(number, RATE) + times[0] for number in range(len(times))]
    numbers = [number for _, number in frames]
    first = [number for number in numbers if number < 1000]
    assert first == list(range(len(first)))
    assert set(range(1000, 1000 + 8 * RATE)) <= set(numbers)
    assert abs(rig.audio_seconds() - len(frames) / RATE) < 0.05
    beeps = [beep for beep in rig.beeps() if beep < len(first) / RATE]
    assert beeps
    assert min(beeps) > LATE_SECONDS
    assert_beeps_belong_to(frames, beeps)


def test_a_publisher_that_sends_too_large_frames_is_sent_away_with_a_reason(rig: Rig, other_clip: Path) -> None:
    rig.start("one")
    stream = a_stream(max_height=144)
    with rig.publishing(stream, other_clip):
        wait_for(lambda: Broadcast.objects.filter(state=BroadcastState.FAILED).exists(), rig.logs())
    assert Broadcast.objects.get().error_code == RefusalCode.RESOLUTION_EXCEEDED
    assert Refusal.objects.get().code == RefusalCode.RESOLUTION_EXCEEDED


def test_what_is_not_recorded_is_deleted_behind_the_window(rig: Rig, clip: Path) -> None:
    rig.start("one")
    stream = a_stream(record=False, dvr_seconds=4, reconnect_seconds=1)
    with rig.publishing(stream, clip) as publisher:
        rig.wait_published(stream, 1)
        wait_for(lambda: stream.broadcast.expired_segments, rig.logs())
        assert publisher.wait(120) == 0
    rig.wait_ended(stream)
    first = stream.broadcast.expired_segments
    stored = {int(key.rpartition("/")[2].partition(".")[0]) for key in rig.segment_keys(stream)}
    assert stored
    assert min(stored) == first
