"""The API of live streams: keys that are shown once, bad requests, states, recordings, refusals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from access.models import IdempotentRequest
from access.scopes import Scope
from livestreams.keys import secret_digest
from livestreams.models import Broadcast, Livestream
from livestreams.services.publishing import publish_requested, publisher_left
from livestreams.states import RefusalCode
from tests.live_rows import GOP_FRAMES, Stream, a_live_node, a_stream, closed, live
from tests.rows import a_key, an_owner

pytestmark = pytest.mark.django_db

PATH = "/api/v1/livestreams"
DESTINATION = "rtmps://[2000::1]/app/s3cr3t"
"""A public address that is nobody's, and needs no name server."""


@pytest.fixture
def client(db: None) -> Client:
    return Client(headers={"Authorization": f"Bearer {a_key()}"})


def create(client: Client, **body: object) -> dict[str, Any]:
    response = client.post(PATH, body, content_type="application/json")
    assert response.status_code == 201, response.content
    assert response.headers["Location"] == f"{PATH}/{response.json()['id']}"
    document: dict[str, Any] = response.json()
    return document


def test_a_stream_key_is_shown_when_it_is_new_and_never_again(client: Client) -> None:
    created = create(client, name="Council meeting")
    row = Livestream.objects.get()
    name, _, secret = created["ingest"]["stream_key"].partition("?key=")
    assert (name, secret_digest(secret)) == (row.ingest_name, row.key_sha256)
    assert created["ingest"]["rtmp_url"] == "rtmp://127.0.0.1:1935/live"
    assert created["ingest"]["key_hint"] == secret[-4:]
    shown = client.get(f"{PATH}/{row.id}")
    assert shown.json() == {**created, "ingest": {**created["ingest"], "stream_key": None}}
    assert secret not in shown.content.decode() + client.get(PATH).content.decode()


def test_playback_urls_have_nothing_of_the_stream_key(client: Client) -> None:
    created = create(client)
    urls = {created["playback"][name] for name in ("hls_url", "dash_url")}
    assert urls == {
        f"http://testserver/streams/{created['playback_id']}/{file}" for file in ("master.m3u8", "dash/manifest.mpd")
    }
    assert created["playback"]["expires_at"] is None
    name = created["ingest"]["stream_key"].partition("?")[0]
    assert name not in created["playback_id"]
    private = create(client, private=True)["playback"]
    assert "~" in private["hls_url"]
    assert datetime.fromisoformat(private["expires_at"]) > datetime.now(UTC)


def test_a_repeated_request_creates_one_stream_and_stores_no_key(client: Client) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    first, again = (
        client.post(PATH, {"name": "x"}, content_type="application/json", headers=headers) for _ in range(2)
    )
    assert first.json()["ingest"].pop("stream_key")
    assert again.json()["ingest"]["stream_key"] is None
    assert again.json()["id"] == first.json()["id"] == str(Livestream.objects.get().id)
    assert "?key=" not in IdempotentRequest.objects.get().body


def test_a_rotated_key_replaces_the_previous_one(client: Client) -> None:
    created = create(client)
    rotated = client.post(f"{PATH}/{created['id']}/rotate-key").json()
    before, after = (each["ingest"].pop("stream_key") for each in (created, rotated))
    assert before.partition("?")[0] == after.partition("?")[0]
    assert secret_digest(after.partition("key=")[2]) == Livestream.objects.get().key_sha256
    assert rotated["playback"] == created["playback"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"nam": "x"}, "nam"),
        ({"name": 7}, None),
        ({"name": "x" * 201}, "name"),
        ({"ladder": []}, "ladder"),
        ({"ladder": ["1080p"] * 7}, "ladder"),
        ({"ladder": ["144p"]}, "ladder.0"),
        ({"ladder": ["720p", 3]}, "ladder.1"),
        ({"ladder": [{"width": 1280, "height": 720}]}, "ladder.0.bitrate"),
        ({"ladder": [{"width": 1280, "height": 720, "bitrate": 1}]}, "ladder.0.bitrate"),
        ({"ladder": [{"width": 1280, "height": 720, "bitrate": 2_000_000, "fps": 30}]}, "ladder.0.fps"),
        ({"ladder": ["1080p", "720p"], "max_height": 720}, "ladder.0"),
        ({"encoder": "quicktime"}, "encoder"),
        ({"preset": "cpu"}, "preset"),
        ({"latency": "ultra"}, "latency"),
        ({"record": "yes"}, "record"),
        ({"dvr_seconds": 19}, "dvr_seconds"),
        ({"dvr_seconds": 14_401}, "dvr_seconds"),
        ({"reconnect_seconds": -1}, "reconnect_seconds"),
        ({"max_bitrate": 50_000_001}, "max_bitrate"),
        ({"max_height": 2161}, "max_height"),
        ({"push": [{"url": "https://live.example.org/app/key"}]}, "push.0.url"),
        ({"push": [{"url": "rtmp://live.example.org/app"}]}, "push.0.url"),
        ({"push": [{"url": "rtmp://127.0.0.1/app/key"}]}, "push.0.url"),
        ({"push": [{"url": DESTINATION, "key": "x"}]}, "push.0.key"),
        ({"push": [{"url": DESTINATION}] * 6}, "push"),
        ({"metadata": []}, "metadata"),
    ],
)
def test_bad_requests_name_the_field(client: Client, body: dict[str, object], field: str | None) -> None:
    if field is None:
        assert create(client, **body)["name"] == "7"
        return
    for response in (
        client.post(PATH, body, content_type="application/json"),
        client.patch(f"{PATH}/{a_stream().row.id}", body, content_type="application/json"),
    ):
        assert response.status_code == 422, response.content
        assert [error["field"] for error in response.json()["errors"]] == [field]


def test_a_change_keeps_what_it_does_not_name(client: Client) -> None:
    created = create(client, ladder=["720p", {"width": 640, "height": 360, "bitrate": 500_000}], encoder="x265")
    path = f"{PATH}/{created['id']}"
    changed = client.patch(path, {"preset": "fast", "dvr_seconds": 120}, content_type="application/json").json()
    created["ingest"]["stream_key"] = None
    assert changed == {**created, "preset": "fast", "dvr_seconds": 120}
    refused = client.patch(path, {"max_height": 480}, content_type="application/json")
    assert [error["field"] for error in refused.json()["errors"]] == ["max_height"]
    assert client.patch(path, {"ladder": None}, content_type="application/json").json()["ladder"] is None


def test_destinations_show_no_key(client: Client) -> None:
    created = create(client, push=[{"url": DESTINATION}, {"name": "tube", "url": "rtmp://[2000::2]/live2/key"}])
    assert [(each["name"], each["url"]) for each in created["push"]] == [
        ("[2000::1]", "rtmps://[2000::1]/…"),
        ("tube", "rtmp://[2000::2]/…"),
    ]
    assert "s3cr3t" not in client.get(PATH).content.decode()
    assert [each["url"] for each in Livestream.objects.get().push] == [DESTINATION, "rtmp://[2000::2]/live2/key"]


@pytest.fixture
def stream(db: None) -> Stream:
    a_live_node()
    return a_stream()


def document(client: Client, stream: Stream) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{PATH}/{stream.row.id}").json()
    return found


def test_a_broadcast_is_shown_with_its_health_and_viewers(client: Client, stream: Stream) -> None:
    assert (document(client, stream)["state"], document(client, stream)["broadcast"]) == ("idle", None)
    live(stream)
    measured = {"bitrate": 6_000_000, "frame_rate": 25.0, "renditions": ["360p"], "encoder": "libx264"}
    now = datetime.now(UTC)
    Broadcast.objects.update(
        health=measured,
        health_at=now,
        viewers={"total": 3, "renditions": {"360p": 3}},
    )
    shown = document(client, stream)
    broadcast = shown["broadcast"]
    assert (shown["state"], broadcast["state"], broadcast["number"]) == ("live", "live", 1)
    assert (broadcast["publisher_address"], broadcast["publisher_connected"]) == ("203.0.113.9", True)
    assert broadcast["health"].items() >= measured.items()
    assert broadcast["health"]["segment_seconds"] >= 0
    assert broadcast["viewers"] == {"total": 3, "renditions": {"360p": 3}}
    publisher_left(stream.publisher())
    assert document(client, stream)["broadcast"]["publisher_connected"] is False


def test_a_broadcast_is_stopped_and_its_recording_listed(client: Client, stream: Stream) -> None:
    path = f"{PATH}/{stream.row.id}"
    refused = client.post(f"{path}/stop")
    assert (refused.status_code, refused.json()["code"]) == (409, "livestream_not_live")
    claim = live(stream)
    for _ in range(2):
        stopped = client.post(f"{path}/stop")
        assert (stopped.status_code, stopped.json()["broadcast"]["stop_requested"]) == (202, True)
    closed(claim, 3 * GOP_FRAMES)
    (recording,) = client.get(f"{path}/recordings").json()["results"]
    assert recording["video_id"] == str(stream.broadcast.video_id)
    assert client.get(recording["links"]["video"]).status_code == 200
    assert client.get(recording["links"]["playback"]).json()["hls_url"]


def test_refused_publishers_are_listed_with_the_reason(client: Client, stream: Stream) -> None:
    for _ in range(3):
        assert publish_requested(stream.publisher(secret="wrong")) is RefusalCode.WRONG_KEY
    (refusal,) = client.get(f"{PATH}/{stream.row.id}/refusals?code=wrong_key").json()["results"]
    assert (refusal["code"], refusal["count"], refusal["publisher_address"]) == ("wrong_key", 3, "203.0.113.9")
    assert client.get(f"{PATH}/{stream.row.id}/refusals?code=stopped").json()["results"] == []


def test_a_deleted_stream_is_gone_and_its_recordings_stay(client: Client, stream: Stream) -> None:
    live(stream)
    assert client.delete(f"{PATH}/{stream.row.id}").status_code == 204
    assert client.get(f"{PATH}/{stream.row.id}").status_code == 404
    assert client.get(PATH).json()["results"] == []
    assert stream.broadcast.stop_requested_at is not None
    assert client.get(f"/api/v1/videos/{stream.broadcast.video_id}").status_code == 200


def test_streams_are_found_by_state_and_by_their_own_name(client: Client, stream: Stream) -> None:
    created = create(client, external_id="channel 4")
    live(stream)
    for query, ids in (("state=live", {str(stream.row.id)}), ("external_id=channel+4", {created["id"]})):
        assert {each["id"] for each in client.get(f"{PATH}?{query}").json()["results"]} == ids


def test_keys_need_the_scopes(client: Client) -> None:
    path = f"{PATH}/{create(client)['id']}"
    reader = Client(headers={"X-API-Key": a_key(None, Scope.LIVESTREAMS_READ)})
    writer = Client(headers={"X-API-Key": a_key(None, Scope.LIVESTREAMS_WRITE)})
    assert (reader.get(path).status_code, writer.get(path).status_code) == (200, 403)
    for call in ("rotate-key", "stop"):
        assert reader.post(f"{path}/{call}").json()["code"] == "scope_missing"
    assert reader.delete(path).status_code == 403
    assert writer.delete(path).status_code == 204


def test_another_owner_s_stream_is_not_found(client: Client) -> None:
    path = f"{PATH}/{a_stream(an_owner('other')).row.id}"
    for response in (client.get(path), client.post(f"{path}/rotate-key"), client.post(f"{path}/stop")):
        assert (response.status_code, response.json()["code"]) == (404, "livestream_not_found")
