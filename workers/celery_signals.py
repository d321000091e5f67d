"""Celery signals of a worker's parent process: the node's start, the order to end, and its end."""

from typing import Any

from celery import signals

from execution.isolation import NotIsolated
from execution.process import hide_from_children
from jobs.dispatching.tickets import node_queue
from observability.metrics import use_shared_folder
from workers import wiring
from workers.node.heartbeat import NodeKeeper

_keepers: list[NodeKeeper] = []


@signals.celeryd_init.connect
def require_isolation(**_: object) -> None:
    """Refuse to start where what opens a stranger's file cannot be isolated. Children inherit what was found."""
    hide_from_children()
    try:
        wiring.require_isolation()
    except NotIsolated as error:
        raise SystemExit(f"the worker does not start: {error}") from error


@signals.celeryd_after_setup.connect
def take_from_own_queue(instance: Any, **_: object) -> None:  # noqa: ANN401 - Celery's worker has no types
    """The worker is about to consume: from all of its queues, one of its own too, without acknowledging what it takes.

    An acknowledgement that fails with its connection is never repeated, and its message counts as unacknowledged for
    good: a worker with one slot would consume nothing any more. See docs/adr/0005-message-acknowledgement.md.
    """
    queues = instance.app.amqp.queues
    for name in (*wiring.QUEUES[1:], node_queue(wiring.NODE)):
        queues.select_add(name)
    for queue in queues.consume_from.values():
        queue.no_ack = True
    if folder := wiring.metrics_folder():
        use_shared_folder(folder)


@signals.worker_ready.connect
def begin(**_: object) -> None:
    """The worker consumes: tickets may come."""
    keeper = wiring.node_keeper()
    _keepers.append(keeper)
    keeper.start()


@signals.worker_shutting_down.connect
def drain(**_: object) -> None:
    """Order the children to finish what fits and to release the rest; a second time, to release everything."""
    wiring.draining.set(urgent=wiring.ending.is_set())
    wiring.ending.set()


@signals.worker_shutdown.connect
def leave(**_: object) -> None:
    """The worker ends in an orderly way."""
    while _keepers:
        _keepers.pop().close()
