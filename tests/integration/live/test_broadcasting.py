"""Broadcasts from a real publisher through a real ingest server and live workers to a complete video."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from django.conf import settings

from jobs.models import Step
from jobs.rules.steps import StepKind
from livestreams.models import Period
from tests.ffmpeg.golden import shown_frames
from tests.ffmpeg.sources import AAC, Card, make
from tests.ingest_process import an_ingest, fake_hooks
from tests.live_rig import Rig, answer
from tests.live_rows import a_stream
from tests.servers import ServersOfThisRun
from workers.node.flags import SharedFlag
from workers.wiring import tools_from

RATE = 25
AVC = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25", "-crf", "30")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of numbered frames with beeps, a key frame each second."""
    card = Card(rate=Fraction(RATE), frames=30 * RATE, width=192, height=108)
    return make(tmp_path_factory.mktemp("clip") / "clip.flv", card, *AVC, *AAC)


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
