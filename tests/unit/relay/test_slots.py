"""Slots of transcodes on the CPU: one owner leaves some to others."""

from uuid import UUID

import pytest

from relay.engines.engine import EngineError
from relay.engines.transcode import CpuSlots

ANN, BOB, CLEO = (UUID(int=number) for number in range(3))


def refused(slots: CpuSlots, owner: UUID) -> str:
    with pytest.raises(EngineError) as error:
        slots.take(owner)
    return error.value.code


@pytest.mark.parametrize(("number", "share"), [(1, 1), (2, 1), (3, 2), (8, 4)])
def test_an_owner_has_half_of_the_slots_at_most(number: int, share: int) -> None:
    slots = CpuSlots(number)
    for _ in range(share):
        slots.take(ANN)
    assert refused(slots, ANN) == ("too_many_sessions" if number > 1 else "relay_full")
    for _ in range(number - share):
        slots.take(BOB)
    assert refused(slots, CLEO) == "relay_full"


def test_a_released_slot_can_be_taken_again() -> None:
    slots = CpuSlots(2)
    slots.take(ANN)
    slots.take(BOB)
    slots.release(ANN)
    assert refused(slots, BOB) == "too_many_sessions"
    slots.take(CLEO)
    assert refused(slots, ANN) == "relay_full"


def test_a_node_without_slots_is_full() -> None:
    assert refused(CpuSlots(0), ANN) == "relay_full"
