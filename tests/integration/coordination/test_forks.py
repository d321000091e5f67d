"""A forked child has its own connection to Redis."""

import os

from coordination import wiring


def test_a_forked_child_connects_to_redis_by_itself() -> None:
    mine = wiring.server()
    assert mine is wiring.server()
    if not (child := os.fork()):
        os._exit(wiring.server() is mine)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert mine is wiring.server()
