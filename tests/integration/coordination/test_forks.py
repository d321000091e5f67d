"""A child of a process that talks to Redis talks to it by itself."""

import os

from coordination import wiring


def test_a_forked_child_makes_its_own_way_to_redis() -> None:
    mine = wiring.server()
    assert mine is wiring.server()
    if not (child := os.fork()):
        os._exit(wiring.server() is mine)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert mine is wiring.server()
