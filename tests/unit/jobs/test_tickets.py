from __future__ import annotations

import time
from collections import Counter

from jobs.dispatching.tickets import TicketSender


def _until_sent(sent: Counter[str], count: int) -> None:
    deadline = time.monotonic() + 60
    while sent.total() < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_each_queue_gets_its_tickets() -> None:
    sent: Counter[str] = Counter()
    sender = TicketSender(lambda queue: sent.update([queue]))
    sender.start()
    sender.request({"cpu": 2, "gpu": 1})
    _until_sent(sent, 3)
    assert sent == {"cpu": 2, "gpu": 1}


def test_whatever_the_client_raises_the_next_demand_is_served() -> None:
    sent: Counter[str] = Counter()
    faults = [KeyError("channel"), ConnectionRefusedError()]

    def send(queue: str) -> None:
        sent.update([queue])
        if faults:
            raise faults.pop()

    sender = TicketSender(send)
    sender.start()
    for count in (1, 2, 3):
        sender.request({"cpu": 1})
        _until_sent(sent, count)
