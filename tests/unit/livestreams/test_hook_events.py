"""Requests of ingest servers, as each of them sends them, come to one event."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from livestreams.hooks import nginx
from livestreams.hooks.documents import read_mediamtx, read_srs
from livestreams.hooks.events import HookRequest, IngestEvent, IngestKind
from livestreams.services.publishing import Publisher

SERVER = "10.0.0.7:1935"
PUBLISHER = Publisher(name="9a3f", key="s3cr3t", client_id="42", ingest_address=f"{SERVER}/live", address="203.0.113.9")


def by_nginx(call: str, **fields: str) -> IngestEvent:
    form = {"app": "live", "addr": "203.0.113.9", "clientid": "42", "call": call, "name": "9a3f", **fields}
    return nginx.read(HookRequest(body=urlencode(form).encode(), address=SERVER))


def by_mediamtx(action: str, *, path: str = "live/9a3f", query: str = "key=s3cr3t") -> IngestEvent:
    document = {"user": "", "password": "", "ip": "203.0.113.9", "action": action, "path": path, "protocol": "rtmp"}
    body = json.dumps({**document, "id": "42", "query": query}).encode()
    return read_mediamtx(HookRequest(body=body, address=SERVER))


def by_srs(action: str, *, param: str = "?key=s3cr3t") -> IngestEvent:
    document = {"action": action, "client_id": "42", "ip": "203.0.113.9", "vhost": "__defaultVhost__", "app": "live"}
    body = json.dumps({**document, "stream": "9a3f", "param": param, "send_bytes": 10}).encode()
    return read_srs(HookRequest(body=body, address=SERVER))


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (by_nginx("publish", key="s3cr3t"), IngestKind.PUBLISH),
        (by_nginx("update_publish", key="s3cr3t", time="3"), IngestKind.UPDATE),
        (by_nginx("publish_done", key="s3cr3t"), IngestKind.UNPUBLISH),
        (by_mediamtx("publish"), IngestKind.PUBLISH),
        (by_mediamtx("unpublish"), IngestKind.UNPUBLISH),
        (by_srs("on_publish"), IngestKind.PUBLISH),
        (by_srs("on_unpublish"), IngestKind.UNPUBLISH),
    ],
)
def test_a_publisher_is_the_same_whatever_server_receives_it(event: IngestEvent, kind: IngestKind) -> None:
    assert (event.kind, event.publisher) == (kind, PUBLISHER)


def test_nobody_chooses_what_nginx_says_by_arguments_of_the_stream() -> None:
    said = urlencode({"app": "live", "addr": "203.0.113.9", "clientid": "42", "call": "publish", "name": "9a3f"})
    body = f"{said}&key=s3cr3t&call=other&clientid=1&name=another&addr=10.0.0.1&app=x".encode()

    event = nginx.read(HookRequest(body=body, address=SERVER))

    assert (event.kind, event.publisher) == (IngestKind.PUBLISH, PUBLISHER)


def test_a_reader_shows_its_token() -> None:
    for event in (
        by_nginx("play", token="t0k3n"),
        by_mediamtx("read", query="token=t0k3n"),
        by_srs("on_play", param="?token=t0k3n"),
    ):
        assert (event.kind, event.token, event.publisher.key) == (IngestKind.PLAY, "t0k3n", "")


def test_other_events_are_of_no_concern() -> None:
    kinds = {
        by_nginx("update_play").kind,
        by_nginx("play_done").kind,
        by_mediamtx("metrics").kind,
        by_srs("on_dvr").kind,
    }
    assert kinds == {IngestKind.OTHER}


def test_a_server_without_applications_has_none_in_its_address() -> None:
    assert by_mediamtx("publish", path="9a3f").publisher.ingest_address == f"{SERVER}/"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"action": "publish"}'])
def test_what_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several parsers
        read_mediamtx(HookRequest(body=body, address=SERVER))


def test_a_stream_without_a_name_or_a_server_without_an_address_is_refused() -> None:
    with pytest.raises(ValueError, match="name"):
        by_nginx("publish", name="")
    with pytest.raises(ValueError, match="address"):
        nginx.read(HookRequest(body=b"call=publish&name=a&clientid=1", address=""))
