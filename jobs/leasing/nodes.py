"""What worker nodes say about themselves, and what operators order them to do."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Now

from jobs.changes.wake import dispatcher_wake
from jobs.models import Node, NodeState, Step
from jobs.rules.transitions import StepState


@transaction.atomic
def node_register(*, name: str, queues: Sequence[str], slots: int, pid: int, info: Mapping[str, object]) -> None:
    """Announce a worker that has just started; it is sent tickets from now on."""
    described = {"queues": list(queues), "slots": slots, "pid": pid, "info": dict(info), "state": NodeState.ACTIVE}
    Node.objects.update_or_create(name=name, defaults={**described, "started_at": Now(), "last_seen": Now()})
    dispatcher_wake()


def node_heartbeat(*, name: str) -> NodeState | None:
    """Say that the node is still there. Returns whether it should drain; None: register again, it was forgotten."""
    Node.objects.filter(name=name).update(last_seen=Now())
    state = Node.objects.filter(name=name).values_list("state", flat=True).first()
    return NodeState(state) if state else None


def node_busy(*, name: str) -> int:
    """How many steps run on a node."""
    return Step.objects.filter(node=name, state=StepState.RUNNING).count()


def node_remove(*, name: str) -> None:
    """Forget a worker that ends in an orderly way, so that no ticket is meant for it."""
    Node.objects.filter(name=name).delete()


@transaction.atomic
def node_order(*, name: str, state: NodeState) -> bool:
    """Have a node drain, or take steps again. False: no node has that name."""
    found = Node.objects.filter(name=name).update(state=state)
    if found:
        dispatcher_wake()
    return bool(found)


def slots_alive(*, queue: str, silence_seconds: float) -> int:
    """Return how many steps of a queue can run at a time on the nodes that are there and take work.

    What an open step holds is not counted: it has no end that anybody could wait for.
    """
    alive = Node.objects.filter(
        queues__contains=[queue], state=NodeState.ACTIVE, last_seen__gt=Now() - timedelta(seconds=silence_seconds)
    )
    slots: int = alive.aggregate(slots=Sum("slots", default=0))["slots"]
    held = Step.objects.filter(
        state=StepState.RUNNING, units_total=None, queue=queue, node__in=alive.values("name")
    ).count()
    return max(0, slots - held)
