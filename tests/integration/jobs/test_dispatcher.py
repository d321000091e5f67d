from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from amqp.exceptions import ChannelError
from celery import current_app
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from configuration import LeaseConfig, RetryConfig
from embedded.servers import Redis
from execution.scratch import liveness_folder
from gpu.devices import Device, DeviceKind, DeviceState, SlotLimits, Verdict
from gpu.models import DeviceReport
from gpu.services import DeviceDescription, device_report
from jobs.dispatching.demand import ticket_demand
from jobs.dispatching.dispatcher import Dispatcher, StopSignal
from jobs.dispatching.listener import Listener
from jobs.dispatching.tickets import TicketSender, ticket_send
from jobs.leasing.nodes import node_heartbeat, node_register, node_remove
from jobs.leasing.slots import DeviceOffer
from jobs.lifecycle.failures import leases_reclaim
from jobs.models import Node, Step
from jobs.rules.transitions import StepState
from observability.liveness import LivenessFile
from tests.rows import a_bare_job, a_job, a_policy, a_step, a_video, claim_or_none, claimed, expire, state_of

_LIVENESS = LivenessFile(liveness_folder(settings.TRANSCODER.execution), "dispatcher")
SELDOM = LeaseConfig(dispatcher_tick_seconds=600)
OFTEN = LeaseConfig(dispatcher_tick_seconds=0.1)


def _node(name: str = "n1", *, slots: int = 2, queues: tuple[str, ...] = ("cpu",)) -> None:
    node_register(name=name, queues=queues, slots=slots, pid=1, info={})


def _ready(count: int, queue: str = "cpu") -> None:
    job = a_bare_job(a_video())
    for ordinal in range(count):
        a_step(job, ordinal=ordinal, queue=queue)


def _demand() -> Mapping[str, int]:
    return ticket_demand(silence_seconds=20)


@pytest.mark.django_db
def test_never_more_tickets_than_idle_slots() -> None:
    _node(slots=3)
    _ready(10)
    assert _demand() == {"cpu": 3}
    claimed(node="n1")
    assert _demand() == {"cpu": 2}


@pytest.mark.django_db
def test_never_more_tickets_than_ready_steps() -> None:
    _node("n1", slots=10)
    _node("n2", slots=10)
    _ready(2)
    assert _demand() == {"cpu": 2}


@pytest.mark.django_db
def test_each_queue_is_counted_by_itself() -> None:
    _node("n1", slots=1)
    _node("n2", slots=1, queues=("gpu",))
    _ready(2, "cpu")
    assert _demand() == {"cpu": 1}
    _device("n2")
    _ready(2, "gpu")
    assert _demand() == {"cpu": 1, "gpu": 1}


@pytest.mark.django_db
def test_who_has_a_device_with_room_gets_a_ticket_although_those_without_take_some() -> None:
    for name, slots in (("full", 4), ("free", 2), ("none", 3)):
        _node(name, slots=slots, queues=("gpu",))
    _device("full", index=0)
    _device("free", index=1)
    gpu_steps: dict[str, Any] = {"queue": "gpu", "encoder": "h264_nvenc", "sessions": 8, "units_total": 0}
    job = a_bare_job(a_video())
    a_step(job, ordinal=0, **gpu_steps)
    offer = DeviceOffer(uuid="GPU-0", slots=8, encoders=frozenset({"h264_nvenc"}))
    assert claim_or_none(queue="gpu", node="full", offer=offer)
    assert _demand() == {}, "nothing is ready"
    a_step(job, ordinal=1, **gpu_steps)
    assert _demand() == {"gpu": 1 + 3 + 3}, "one for the step, and one for each who would take it in vain"
    DeviceReport.objects.filter(node="free").update(error="GPU is lost")
    assert _demand() == {}, "nobody could do anything"


def _device(node: str, *, index: int = 0) -> None:
    """A device that works and has eight sessions."""
    said = Verdict(encoder="h264_nvenc", available=True, reason="", driver="570.1", ffmpeg_version="9")
    device = Device(index=index, uuid=f"GPU-{index}", name="L4", kind=DeviceKind.NVIDIA, driver="570.1")
    verdicts = {said.encoder: said}
    described = DeviceDescription(state=DeviceState(device=device), limits=SlotLimits(device=8), verdicts=verdicts)
    device_report(node=node, machine="m", descriptions=[described])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change", [{"state": "draining"}, {"last_seen": Now() - timedelta(seconds=21)}, {"slots": 0}, {"queues": []}]
)
def test_nodes_that_take_nothing_get_no_ticket(change: dict[str, object]) -> None:
    _node()
    _ready(1)
    Node.objects.update(**change)
    assert _demand() == {}


@pytest.mark.django_db
def test_a_node_that_has_too_many_steps_takes_nothing_from_others() -> None:
    _node("n1", slots=1)
    _node("n2", slots=1)
    _ready(5)
    for _ in range(3):
        claimed(node="n1")
    assert _demand() == {"cpu": 1}


@pytest.mark.django_db
def test_a_node_comes_lives_and_goes() -> None:
    assert node_heartbeat(name="n1") is None
    _node()
    Node.objects.update(last_seen=Now() - timedelta(hours=1))
    assert node_heartbeat(name="n1") == "active"
    _ready(1)
    assert _demand() == {"cpu": 1}
    Node.objects.update(state="draining")
    assert node_heartbeat(name="n1") == "draining"
    _node()
    assert node_heartbeat(name="n1") == "active"
    node_remove(name="n1")
    assert _demand() == {}


class Broker:
    """Counts tickets; raises or hangs on request."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.unavailable = False
        self.hangs: Event | None = None

    def send(self, queue: str) -> None:
        if self.hangs:
            self.hangs.wait()
        if self.unavailable:
            raise ConnectionRefusedError
        self.sent[queue] += 1


@contextmanager
def _dispatching(broker: Broker, lease: LeaseConfig, retry: RetryConfig | None = None) -> Iterator[None]:
    sender = TicketSender(broker.send)
    sender.start()
    stop = StopSignal()
    dispatcher = Dispatcher(lease=lease, policy=a_policy(retry=retry), sender=sender, liveness=_LIVENESS)
    thread = Thread(target=dispatcher.run, args=[stop])
    thread.start()
    try:
        yield
    finally:
        stop.request()
        thread.join(timeout=120)
        stop.close()
    assert not thread.is_alive()


def _tickets_waiting() -> int:
    with current_app.connection_for_read() as broker:
        try:
            return broker.SimpleQueue("cpu").qsize()
        except ChannelError:  # what holds nothing is not there
            return 0


def _until(true: Callable[[], object], seconds: float = 120) -> None:
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < seconds, "waited too long"
        time.sleep(0.005)


def _leading() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted")
        return bool(cursor.fetchone() == (1,))


@pytest.mark.django_db(transaction=True)
def test_a_commit_wakes_the_dispatcher_long_before_its_tick() -> None:
    broker = Broker()
    _node()
    with _dispatching(broker, SELDOM):
        _until(_leading)
        time.sleep(0.2)
        assert not broker.sent
        a_job()
        _until(lambda: broker.sent["cpu"] >= 2, SELDOM.dispatcher_tick_seconds / 4)
        time.sleep(0.3)  # for one too many
    assert broker.sent == {"cpu": 2}  # two slots, six steps, one wake-up


@pytest.mark.django_db(transaction=True)
def test_a_tick_sends_what_was_lost() -> None:
    broker = Broker()
    _node(slots=1)
    a_job()
    with _dispatching(broker, OFTEN):
        _until(lambda: broker.sent["cpu"] >= 3)


@pytest.mark.django_db(transaction=True)
def test_of_two_dispatchers_one_acts_and_the_other_follows() -> None:
    first, second = Broker(), Broker()
    _node()
    with _dispatching(second, OFTEN):
        with _dispatching(first, OFTEN):
            _until(_leading)
            a_job()
            _until(lambda: first.sent or second.sent)
            time.sleep(0.5)
            assert bool(first.sent) != bool(second.sent)
            leader = second if second.sent else first
        if leader is first:
            _until(lambda: second.sent)


@pytest.mark.django_db(transaction=True)
def test_it_reclaims_expired_leases_and_promotes_delayed_steps() -> None:
    broker = Broker()
    job = a_bare_job(a_video())
    lost, delayed = a_step(job, ordinal=0), a_step(job, ordinal=1)
    assert claimed().step_id == lost.id
    expire(lost.id)
    Step.objects.filter(id=delayed.id).update(state=StepState.DELAYED, not_before=Now() + timedelta(seconds=0.3))
    with _dispatching(broker, OFTEN):
        _until(lambda: state_of(lost.id) is StepState.READY)
        _until(lambda: state_of(delayed.id) is StepState.READY)


@pytest.mark.django_db(transaction=True)
def test_two_that_reclaim_at_once_do_nothing_twice() -> None:
    """Both act, as when the first has lost its session and does not know yet."""
    job = a_bare_job(a_video())
    for ordinal in range(20):
        a_step(job, ordinal=ordinal)
        expire(claimed().step_id)
    retry = RetryConfig()
    threads = [Thread(target=_reclaim_and_close, args=[retry]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(Step.objects.values_list("state", "attempt", "attempts_without_progress")) == {
        (StepState.READY.value, 1, 1)
    }


def _reclaim_and_close(retry: RetryConfig) -> None:
    try:
        leases_reclaim(policy=a_policy(retry=retry))
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_hangs_holds_up_nothing_else() -> None:
    broker = Broker()
    broker.hangs = Event()
    _node()
    step = a_step(a_bare_job(a_video()))
    expire(claimed().step_id)
    a_job()
    with _dispatching(broker, OFTEN):
        _until(lambda: state_of(step.id) is StepState.READY)
        broker.unavailable = True
        broker.hangs.set()
        time.sleep(0.3)
        assert not broker.sent
        broker.unavailable = False
        _until(lambda: broker.sent)


@pytest.mark.django_db(transaction=True)
def test_it_goes_on_when_the_database_has_closed_its_connections() -> None:
    broker = Broker()
    _node()
    with _dispatching(broker, OFTEN):
        _until(_leading)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        a_job()
        _until(lambda: broker.sent)


@pytest.mark.django_db(transaction=True)
def test_a_stopped_listener_gives_the_lead_away() -> None:
    with closing(Listener()) as first, closing(Listener()) as second:
        _until(first.lead)  # the session of a test before may just be ending
        assert not second.lead()
        first.close()
        _until(second.lead)


@pytest.mark.django_db(transaction=True)
def test_the_command_ends_at_once_on_sigterm(redis: Redis) -> None:
    _node()
    process = subprocess.Popen([sys.executable, "manage.py", "dispatcher"], env=_environment())
    try:
        _until(_leading)
        a_job()
        _until(lambda: _tickets_waiting() >= 2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.django_db
def test_a_ticket_lies_in_the_queue_and_carries_no_work(redis: Redis) -> None:
    ticket_send("cpu")
    with current_app.connection_for_read() as broker:
        message = broker.SimpleQueue("cpu").get(timeout=60)
    assert message.headers["task"] == "workers.work"
    assert message.payload[:2] == [["cpu"], {}]


def _environment() -> dict[str, str]:
    """The environment of a process that works on the test's own database."""
    at = connection.settings_dict
    url = f"postgresql://{at['USER']}:{at['PASSWORD']}@{at['HOST']}:{at['PORT']}/{at['NAME']}"
    return os.environ | {"DJANGO_SETTINGS_MODULE": "transcoder_site.settings", "TRANSCODER_DATABASE_URL": url}
