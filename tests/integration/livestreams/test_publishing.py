"""Publishers: who is let in, who is not, and what is known of it afterwards."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from events.models import Event
from jobs.models import Job, Step
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JobState, StepState
from livestreams.models import Broadcast, Refusal
from livestreams.services import attempts
from livestreams.services.publishing import (
    SILENT_SECONDS,
    Admission,
    play_allowed,
    publish_accepted,
    publish_requested,
    publish_undo,
    publisher_left,
    publisher_seen,
    reader_waits,
)
from livestreams.services.streams import (
    livestream_delete,
    livestream_rotate_key,
    livestream_stop,
)
from livestreams.services.watch import broadcasts_watch
from livestreams.states import BroadcastState, RefusalCode
from livestreams.tokens import token_make
from tests.live_rows import INGEST, Stream, a_live_node, a_stream, live, started
from tests.rows import an_owner, claimed
from videos.models import Video
from videos.states import VideoState

pytestmark = pytest.mark.django_db


def silence(stream: Stream) -> None:
    """Let the last word of a publisher be long ago."""
    ago = Now() - timedelta(seconds=SILENT_SECONDS + 1)
    Broadcast.objects.filter(id=stream.broadcast.id).update(publisher_seen_at=ago)


def refused(stream: Stream) -> list[str]:
    rows = Refusal.objects.filter(livestream=stream.row).order_by("id")
    return list(rows.values_list("code", flat=True))


def test_a_publisher_with_the_key_begins_a_broadcast_that_a_worker_may_claim_before_it_is_planned() -> None:
    a_live_node()
    stream = a_stream(external_id="tv-1")
    admission = publish_requested(stream.publisher())
    assert isinstance(admission, Admission)
    assert admission.is_new
    broadcast = stream.broadcast
    assert (broadcast.number, broadcast.state, broadcast.video.state) == (1, "starting", VideoState.LIVE)
    assert (broadcast.video.external_id, broadcast.video.size_bytes) == ("tv-1", 0)
    assert broadcast.job is not None
    claim = claimed(queue="live")
    assert (claim.kind, claim.generation_id, claim.units_total) == (StepKind.LIVE, None, None)
    assert reader_waits(broadcast.id) is False
    attempts.reader_ready(claim=claim)
    assert reader_waits(broadcast.id) is True
    assert publish_accepted(admission, stream.publisher())
    types = list(Event.objects.filter(video_id=broadcast.video_id).values_list("type", flat=True))
    assert "livestream.starting" in types


def test_a_wrong_key_is_refused_with_a_reason_that_its_owner_sees_once_a_minute() -> None:
    a_live_node()
    stream = a_stream()
    for _ in range(3):
        assert publish_requested(stream.publisher(secret="guessed")) is RefusalCode.WRONG_KEY
    (row,) = Refusal.objects.filter(livestream=stream.row)
    assert (row.count, row.publisher_address) == (3, "203.0.113.9")
    events = Event.objects.filter(type="livestream.publish_refused")
    assert [event.data["error"]["code"] for event in events] == ["wrong_key"]
    assert "guessed" not in str(events[0].data) + row.detail
    assert not Broadcast.objects.exists()


def test_a_stream_that_nobody_has_is_refused_and_noted_nowhere() -> None:
    stream = a_stream()
    stranger = replace(stream.publisher(), name="0123456789abcdef")
    assert publish_requested(stranger) is RefusalCode.UNKNOWN_STREAM
    assert not Refusal.objects.exists()


def test_a_rotated_key_lets_nobody_in_any_more_and_its_publisher_goes_on() -> None:
    a_live_node()
    stream = a_stream()
    live(stream)
    new = livestream_rotate_key(livestream=stream.row).partition("key=")[2]
    assert publisher_seen(stream.publisher())
    publisher_left(stream.publisher())
    assert publish_requested(stream.publisher("2")) is RefusalCode.WRONG_KEY
    assert isinstance(publish_requested(stream.publisher("2", secret=new)), Admission)
    assert stream.broadcast.number == 1


def test_a_second_publisher_of_a_live_stream_is_refused_and_its_end_ends_nothing() -> None:
    a_live_node()
    stream = a_stream()
    live(stream)
    second = stream.publisher("2")
    assert publish_requested(second) is RefusalCode.ALREADY_LIVE
    assert not publisher_left(second)
    assert not publisher_seen(second)
    broadcast = stream.broadcast
    assert (broadcast.client_id, broadcast.publisher_left_at) == ("1", None)
    assert publisher_seen(stream.publisher())


def test_hooks_of_one_connection_may_be_repeated() -> None:
    a_live_node()
    stream = a_stream()
    live(stream)
    again = publish_requested(stream.publisher())
    assert isinstance(again, Admission)
    assert not again.is_new
    assert publisher_left(stream.publisher())
    assert not publisher_left(stream.publisher())
    assert Broadcast.objects.count() == 1
    assert Event.objects.filter(type="livestream.reconnecting").count() == 1


def test_a_publisher_that_returns_goes_on_with_the_same_broadcast() -> None:
    a_live_node()
    stream = a_stream()
    claim = live(stream)
    publisher_left(stream.publisher())
    control = attempts.broadcast_control(claim=claim)
    assert not control.publisher_present
    assert control.left_seconds is not None
    returned = publish_requested(stream.publisher("2"))
    assert isinstance(returned, Admission)
    assert reader_waits(returned.broadcast_id)
    assert attempts.broadcast_control(claim=claim).left_seconds is None
    assert (stream.broadcast.number, stream.broadcast.client_id) == (1, "2")


def test_at_another_ingest_server_a_reader_has_to_wait_first() -> None:
    a_live_node()
    stream = a_stream()
    claim = live(stream)
    publisher_left(stream.publisher())
    returned = publish_requested(stream.publisher("1", ingest="10.0.0.8:1935/live"))
    assert isinstance(returned, Admission)
    assert reader_waits(returned.broadcast_id) is False
    assert attempts.broadcast_control(claim=claim).ingest_address == "10.0.0.8:1935/live"


def test_a_lost_word_about_the_end_is_made_up_for_by_the_silence_after_it() -> None:
    a_live_node()
    stream = a_stream()
    live(stream)
    silence(stream)
    assert isinstance(publish_requested(stream.publisher("2")), Admission)
    assert stream.broadcast.client_id == "2"
    silence(stream)
    broadcasts_watch()
    assert stream.broadcast.publisher_left_at is not None
    assert stream.broadcast.state == BroadcastState.LIVE


def test_a_publisher_returns_at_once_when_its_ingest_server_was_restarted() -> None:
    a_live_node()
    stream = a_stream()
    claim = live(stream)
    attempts.publisher_lost(claim=claim)
    assert isinstance(publish_requested(stream.publisher("1000")), Admission)
    assert stream.broadcast.client_id == "1000"


def test_a_publisher_that_only_sends_nothing_is_there() -> None:
    a_live_node()
    stream = a_stream()
    claim = live(stream)
    attempts.publisher_lost(claim=claim)
    Broadcast.objects.update(silent_since=Now() - timedelta(seconds=2))
    assert publisher_seen(stream.publisher())
    assert publish_requested(stream.publisher("2")) is RefusalCode.ALREADY_LIVE


def test_bytes_at_the_worker_stand_for_a_publisher_whose_hooks_are_lost() -> None:
    a_live_node()
    stream = a_stream()
    claim = live(stream)
    silence(stream)
    attempts.health_record(claim=claim, health={"silent_seconds": 0.1, "bitrate": 3_000_000})
    broadcasts_watch()
    assert stream.broadcast.publisher_left_at is None


def test_bytes_of_before_its_end_do_not_stand_for_a_publisher_that_has_left() -> None:
    a_live_node()
    stream = a_stream()
    claim = live(stream)
    publisher_left(stream.publisher())
    attempts.health_record(claim=claim, health={"silent_seconds": 0.1, "bitrate": 1e6})
    assert stream.broadcast.publisher_left_at is not None
    long_ago = Now() - timedelta(seconds=20)
    Broadcast.objects.filter(id=stream.broadcast.id).update(publisher_left_at=long_ago)
    attempts.health_record(claim=claim, health={"silent_seconds": 0.1, "bitrate": 0})  # of a worker that just came
    assert stream.broadcast.publisher_left_at is not None
    attempts.health_record(claim=claim, health={"silent_seconds": 0.1, "bitrate": 1e6})
    assert stream.broadcast.publisher_left_at is None


def test_an_update_takes_a_broadcast_back_for_its_publisher() -> None:
    a_live_node()
    stream = a_stream()
    live(stream)
    publisher_left(stream.publisher())
    assert not publisher_seen(stream.publisher("3", secret="guessed"))
    assert publisher_seen(stream.publisher("3"))
    assert stream.broadcast.client_id == "3"


def test_a_publisher_of_nothing_is_dropped_by_its_update() -> None:
    stream = a_stream()
    assert not publisher_seen(stream.publisher())
    assert not publisher_seen(replace(stream.publisher(), name="nobody"))


def test_no_broadcast_begins_without_room_on_a_live_worker() -> None:
    stream = a_stream()
    assert publish_requested(stream.publisher()) is RefusalCode.NO_CAPACITY
    a_live_node(slots=1)
    live(stream)
    other = a_stream()
    assert publish_requested(other.publisher()) is RefusalCode.NO_CAPACITY
    assert refused(stream) == refused(other) == ["no_capacity"]
    assert Video.objects.count() == 1


def test_streams_that_wait_for_a_worker_take_its_room() -> None:
    a_live_node(slots=1)
    assert isinstance(publish_requested(a_stream().publisher()), Admission)
    assert publish_requested(a_stream().publisher()) is RefusalCode.NO_CAPACITY


def test_a_broadcast_that_no_worker_took_is_undone() -> None:
    a_live_node()
    stream = a_stream()
    admission = publish_requested(stream.publisher())
    assert isinstance(admission, Admission)
    video = stream.broadcast.video
    assert publish_undo(admission, stream.publisher())
    assert not Broadcast.objects.exists()
    video.refresh_from_db()
    job = Job.objects.get()
    assert (video.state, job.state, stream.state) == (VideoState.DELETING, JobState.CANCELLED, "idle")
    assert set(Step.objects.filter(job=job).values_list("state", flat=True)) == {StepState.CANCELLED}
    assert refused(stream) == ["no_capacity"]


def test_a_worker_that_comes_at_the_last_moment_lets_the_publisher_in() -> None:
    a_live_node()
    stream = a_stream()
    admission = publish_requested(stream.publisher())
    assert isinstance(admission, Admission)
    attempts.reader_ready(claim=claimed(queue="live"))
    assert not publish_undo(admission, stream.publisher())
    assert publish_accepted(admission, stream.publisher())


def test_streams_are_limited_for_each_owner_and_for_all() -> None:
    a_live_node(slots=20)
    ours, theirs = an_owner("ours"), an_owner("theirs")
    for _ in range(3):
        started(a_stream(ours))
    more = a_stream(ours)
    assert publish_requested(more.publisher()) is RefusalCode.TOO_MANY_STREAMS_OF_OWNER
    started(a_stream(theirs))
    assert publish_requested(a_stream(theirs).publisher()) is RefusalCode.TOO_MANY_STREAMS


def test_an_owner_without_room_in_the_store_publishes_nothing() -> None:
    a_live_node()
    owner = an_owner("full")
    owner.max_stored_bytes = 1
    owner.save()
    first = a_stream(owner)
    live(first)
    second = a_stream(owner)
    assert publish_requested(second.publisher()) is RefusalCode.QUOTA_EXCEEDED
    assert refused(second) == ["quota_exceeded"]


def test_a_stopped_broadcast_drops_its_publisher_and_lets_nobody_in_before_it_is_over() -> None:
    a_live_node()
    stream = a_stream()
    claim = live(stream)
    livestream_stop(livestream=stream.row)
    assert attempts.broadcast_control(claim=claim).stop_requested
    assert not publisher_seen(stream.publisher())
    assert publish_requested(stream.publisher("2")) is RefusalCode.STOPPED


def test_a_deleted_stream_is_unknown_and_its_broadcast_ends() -> None:
    a_live_node()
    stream = a_stream()
    claim = live(stream)
    livestream_delete(livestream=stream.row)
    assert attempts.broadcast_control(claim=claim).stop_requested
    assert publish_requested(stream.publisher("2")) is RefusalCode.UNKNOWN_STREAM


def test_only_live_workers_with_a_token_of_the_broadcast_read_from_ingest_servers() -> None:
    a_live_node()
    stream, other = a_stream(), a_stream()
    claim = live(stream)
    token = attempts.broadcast_control(claim=claim).token
    name = stream.row.ingest_name
    assert play_allowed(name, token)
    assert not play_allowed(name, "")
    assert not play_allowed(name, f"{token[:-1]}x")
    assert not play_allowed(other.row.ingest_name, token)
    forged = token_make("another secret", stream.broadcast.id, expires_at=int(time.time()) + 60)
    expired = token_make("between-us-and-them", stream.broadcast.id, expires_at=int(time.time()) - 1)
    assert not play_allowed(name, forged)
    assert not play_allowed(name, expired)


def test_the_names_of_a_stream_say_nothing_about_each_other_and_its_secret_is_not_stored() -> None:
    stream = a_stream()
    row = stream.row
    assert len({row.ingest_name, row.playback_id, stream.secret}) == 3
    assert stream.secret not in str(vars(row))
    assert stream.secret.endswith(row.key_hint)
    assert INGEST
