"""Slots of transcodes on the CPU: who is alone has all of them, and nobody keeps others out."""

from uuid import UUID

import pytest

from relay.engines.engine import EngineError
from relay.engines.transcode import CpuSlots

ANN, BOB, CLEO = (UUID(int=number) for number in range(3))


def refused(slots: CpuSlots, owner: UUID) -> str:
    with pytest.raises(EngineError) as error:
        slots.take(owner)
    return error.value.code


def taken(number: int, owner: UUID, *, slots: CpuSlots) -> None:
    for _ in range(number):
        slots.take(owner)


@pytest.mark.parametrize("number", [1, 2, 3, 8])
def test_an_owner_who_is_alone_has_all(number: int) -> None:
    slots = CpuSlots(number)
    taken(number, ANN, slots=slots)
    assert refused(slots, ANN) == "relay_full"


@pytest.mark.parametrize(("number", "share"), [(2, 1), (3, 2), (8, 4)])
def test_an_owner_has_half_at_most_beside_others(number: int, share: int) -> None:
    slots = CpuSlots(number)
    slots.take(BOB)
    taken(share, ANN, slots=slots)
    assert refused(slots, ANN) == "too_many_sessions"
    taken(number - share - 1, BOB, slots=slots)
    assert refused(slots, CLEO) == "relay_full"


@pytest.mark.parametrize("number", [2, 3, 8])
def test_who_has_none_gets_one_beyond_where_another_one_has_all(number: int) -> None:
    slots = CpuSlots(number)
    taken(number, ANN, slots=slots)
    slots.take(BOB)
    assert refused(slots, CLEO) == "relay_full"
    assert refused(slots, ANN) == "too_many_sessions"


def test_a_released_slot_can_be_taken_again() -> None:
    slots = CpuSlots(2)
    taken(1, ANN, slots=slots)
    slots.take(BOB)
    slots.release(ANN)
    taken(1, CLEO, slots=slots)
    assert refused(slots, BOB) == "too_many_sessions"
    slots.release(CLEO)
    slots.take(BOB)
    assert refused(slots, BOB) == "relay_full"


def test_a_node_without_slots_is_full() -> None:
    assert refused(CpuSlots(0), ANN) == "relay_full"
