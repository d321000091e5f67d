import pytest

from workers.live.presence import Presence, Signs, presence_of


@pytest.mark.parametrize(
    ("stop", "present", "left", "silent", "judged"),
    [
        (False, True, None, 0.1, Presence.THERE),
        (False, True, None, 5.0, Presence.SILENT),
        (False, True, None, 600.0, Presence.SILENT),
        (False, False, 0.5, 0.5, Presence.GONE),
        (False, False, 9.0, 9.0, Presence.GONE),
        (False, False, 11.0, 11.0, Presence.OVER),
        (True, True, None, 0.1, Presence.OVER),
    ],
)
def test_a_publisher_is_there_until_hooks_and_time_say_otherwise(
    *, stop: bool, present: bool, left: float | None, silent: float, judged: Presence
) -> None:
    signs = Signs(
        stop_requested=stop, publisher_present=present, left_seconds=left, silent_seconds=silent, reconnect_seconds=10
    )
    assert presence_of(signs) is judged


def test_what_still_arrives_ends_no_broadcast_whatever_hooks_have_said() -> None:
    signs = Signs(
        stop_requested=False, publisher_present=False, left_seconds=600.0, silent_seconds=0.2, reconnect_seconds=10
    )
    assert presence_of(signs) is Presence.GONE
