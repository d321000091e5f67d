from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.dispatching.demand import ticket_demand
from jobs.leasing.nodes import node_heartbeat, node_register
from jobs.leasing.slots import DeviceOffer
from jobs.leasing.steps import step_begin
from jobs.models import Node, NodeState, Step
from tests.rows import a_bare_job, a_job, a_step, a_video, an_uploaded_video, claim_or_none, claimed
from workers import wiring
from workers.celery_signals import drain
from workers.node.heartbeat import NodeKeeper

pytestmark = pytest.mark.django_db


@pytest.fixture
def node() -> str:
    node_register(name="n1", queues=["cpu"], slots=2, pid=1, info={})
    return "n1"


def _command(name: str, *args: str) -> str:
    out = StringIO()
    call_command(name, *args, stdout=out)
    return out.getvalue()


def test_a_node_is_drained_and_activated_again(node: str) -> None:
    a_job()
    assert _command("node_drain", node) == "n1 is draining\n"
    assert node_heartbeat(name=node) is NodeState.DRAINING
    assert claim_or_none(node=node) is None
    assert ticket_demand(silence_seconds=20) == {}
    assert _command("node_drain", node, "--undo") == "n1 is active\n"
    assert ticket_demand(silence_seconds=20) == {"cpu": 2}
    assert claim_or_none(node=node) is not None


def test_a_node_that_is_not_there_cannot_be_drained() -> None:
    with pytest.raises(CommandError, match="there is no node 'n2'"):
        _command("node_drain", "n2")


def test_the_worker_follows_it_until_it_ends(node: str) -> None:
    keeper = NodeKeeper(
        replace(settings.TRANSCODER),
        node,
        draining=wiring.draining,
        last_activity=wiring.last_activity,
        ending=wiring.ending,
    )
    keeper.report()
    try:
        for state, draining in ((NodeState.DRAINING, True), (NodeState.ACTIVE, False)):
            Node.objects.update(state=state)
            keeper.report()
            assert wiring.draining.is_set() is draining
        drain()
        keeper.report()
        assert wiring.draining.is_set(), "an active row does not keep a worker from ending"
    finally:
        wiring.draining.clear()
        wiring.ending.clear()


def test_what_runs_where_is_shown(node: str) -> None:
    job = a_job(a_video(audio=False), priority=70)
    step_begin(claim=claimed(node=node, pid=4711))
    Step.objects.filter(state="running").update(units_done=1)
    shown = _command("work_status")
    lines = [line.split() for line in shown.splitlines()]
    assert ["n1", "active", "cpu", "1/2", "0s", "ago"] in lines
    assert ["n1", "4711", str(job.id), "chunk", "0", "1", "70", "0s", "60s", "1/2"] in lines
    assert ["cpu", "4", "0", "0s"] in lines


def test_a_step_on_a_device_is_shown_with_it_and_its_sessions(node: str) -> None:
    a_step(a_bare_job(a_video()), queue="gpu", encoder="h264_nvenc", sessions=3, units_total=0)
    offer = DeviceOffer(uuid="GPU-7", slots=8, encoders=frozenset({"h264_nvenc"}))
    assert claim_or_none(queue="gpu", node=node, offer=offer)
    assert [line.split()[-2:] for line in _command("work_status").splitlines() if "chunk" in line] == [["GPU-7", "(3)"]]


def test_what_runs_where_can_be_read_by_programs(node: str) -> None:
    video = an_uploaded_video()
    a_job(video)
    claimed(node=node)
    with CaptureQueriesContext(connection) as queries:
        shown = json.loads(_command("work_status", "--json"))
    assert len(queries) == 3
    (running,) = shown["running"]
    assert (running["kind"], running["job"], running["video"], running["priority"]) == (
        "inspect",
        "",
        str(video.id),
        None,
    )
    assert shown["backlog"] == []


def test_an_empty_house_is_shown_too() -> None:
    assert _command("work_status").split()[:2] == ["NODE", "STATE"]
