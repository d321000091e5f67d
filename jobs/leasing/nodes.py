"""Worker nodes: registration, heartbeats, orders to drain, and their slots."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Now

from jobs.changes.wake import dispatcher_wake
from jobs.models import Node, NodeState, Step
from jobs.rules.steps import TRANSFER_QUEUE
from jobs.rules.transitions import StepState


@transaction.atomic
def node_register(*, name: str, queues: Sequence[str], slots: int, pid: int, info: Mapping[str, object]) -> None:
    """Register a worker node that has just started. Tickets are sent for it from now on."""
    described = {"queues": list(queues), "slots": slots, "pid": pid, "info": dict(info), "state": NodeState.ACTIVE}
    Node.objects.update_or_create(name=name, defaults={**described, "started_at": Now(), "last_seen": Now()})
    dispatcher_wake()


def node_heartbeat(*, name: str) -> NodeState | None:
    """Record the node's heartbeat. Return the state ordered for it; None: its row is gone, register again."""
    Node.objects.filter(name=name).update(last_seen=Now())
    state = Node.objects.filter(name=name).values_list("state", flat=True).first()
    return NodeState(state) if state else None


def node_busy(*, name: str) -> int:
    """Count the steps that run on a node."""
    return Step.objects.filter(node=name, state=StepState.RUNNING).count()


def node_remove(*, name: str) -> None:
    """Delete the row of a node that shuts down, so that no ticket is sent for it."""
    Node.objects.filter(name=name).delete()


@transaction.atomic
def node_order(*, name: str, state: NodeState) -> bool:
    """Order a node to drain or to claim steps again. False: no node has that name."""
    found = Node.objects.filter(name=name).update(state=state)
    if found:
        dispatcher_wake()
    return bool(found)


def slots_alive(*, queue: str, silence_seconds: float) -> int:
    """Count the slots of a queue on its live, active nodes.

    Slots that open steps hold do not count: those have no end that anybody could wait for.
    """
    alive = Node.objects.filter(
        queues__contains=[queue], state=NodeState.ACTIVE, last_seen__gt=Now() - timedelta(seconds=silence_seconds)
    )
    slots: int = alive.aggregate(slots=Sum("slots", default=0))["slots"]
    held = Step.objects.filter(
        state=StepState.RUNNING, units_total=None, queue=queue, node__in=alive.values("name")
    ).count()
    return max(0, slots - held)


def owner_limit(*, queue: str, silence_seconds: float) -> int | None:
    """Return the steps of a queue that one owner may have running; None: it has no limit.

    Half of the slots of the queue `transfer`, and one at least. The pace of its steps is that of a server somewhere:
    who has imports from slow ones would else hold every slot for hours, whosever turn is next.
    """
    if queue != TRANSFER_QUEUE:
        return None
    return max(1, slots_alive(queue=queue, silence_seconds=silence_seconds) // 2)
