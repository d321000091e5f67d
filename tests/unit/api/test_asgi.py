"""Answers from plain ASGI applications, with the server's side played by a list of messages."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from api.asgi import Body, BodyLimit, Message, Receive, Scope, Send, refuse
from api.problems import Problem

SCOPE: Scope = {"type": "http", "path": "/x", "headers": []}


class Server:
    """Hands out messages and keeps what it is sent. After the last message it stays silent, as a slow client does."""

    def __init__(self, chunks: Iterable[bytes], *, ends: bool = True) -> None:
        self._chunks = list(chunks)
        self._ends = ends
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if not self._chunks:
            await asyncio.Event().wait()
        chunk = self._chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(self._chunks) or not self._ends}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def left(self) -> int:
        return len(self._chunks)

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(b"".join(message.get("body", b"") for message in self.sent[1:]))


async def reading_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads all of the body, as Django does, and responses with its length."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(size).encode()})


def limited(server: Server, *headers: tuple[bytes, bytes]) -> Server:
    asyncio.run(BodyLimit(reading_app, max_bytes=10)({**SCOPE, "headers": headers}, server.receive, server.send))
    return server


def test_a_body_within_the_limit_passes() -> None:
    assert limited(Server([b"12345", b"67890"])).document == 10


def test_a_body_with_a_content_length_above_the_limit_is_refused_unread() -> None:
    server = limited(Server([b"x" * 11]), (b"content-length", b"11"))
    assert (server.status, server.document["code"]) == (413, "too_large")


def test_a_chunked_body_is_refused_at_the_limit() -> None:
    assert limited(Server([b"x" * 6, b"x" * 6, b"x" * 6])).status == 413


def test_other_protocols_are_passed_on() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    server = Server([])
    asyncio.run(BodyLimit(app, max_bytes=1)({"type": "lifespan"}, server.receive, server.send))
    assert seen == ["lifespan"]


PROBLEM = Problem(status=422, code="no", detail="No.", headers={"X-Y": "z"})


def refusing(
    server: Server,
    *headers: tuple[bytes, bytes],
    read_first: int = 0,
    drain_bytes: int = 100,
    drain_seconds: float = 60,
) -> Server:
    async def run() -> None:
        body = Body(server.receive, drain_bytes=drain_bytes, drain_seconds=drain_seconds)
        for _ in range(read_first):
            await body()
        await refuse({**SCOPE, "headers": headers}, body, server.send, PROBLEM)

    asyncio.run(run())
    return server


def test_a_refusal_is_a_problem_document() -> None:
    server = refusing(Server([b""]))
    assert server.document == PROBLEM.document("/x")
    assert server.headers[b"content-type"] == b"application/problem+json"
    assert server.headers[b"x-y"] == b"z"


def test_the_rest_of_a_refused_body_is_drained_so_that_the_response_arrives() -> None:
    server = refusing(Server([b"x"] * 5))
    assert server.left == 0
    assert server.headers[b"connection"] == b"close"


def test_a_connection_stays_open_after_a_complete_body() -> None:
    assert b"connection" not in refusing(Server([b"x"]), read_first=1).headers


def test_draining_is_limited() -> None:
    assert refusing(Server([b"x" * 6] * 5), drain_bytes=10).left == 3
    assert refusing(Server([b"x"], ends=False), drain_seconds=0.05).status == 422


def test_nothing_is_drained_for_a_client_that_waits_for_100_continue() -> None:
    assert refusing(Server([b"x"]), (b"expect", b"100-continue")).left == 1
