"""Events of ingest servers, whatever server it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from urllib.parse import parse_qsl

from livestreams.keys import KEY_ARGUMENT
from livestreams.services.publishing import Publisher
from livestreams.tokens import TOKEN_ARGUMENT


class IngestKind(StrEnum):
    PUBLISH = auto()
    """Somebody requests to publish."""
    UPDATE = auto()
    """A publisher is still there."""
    UNPUBLISH = auto()
    PLAY = auto()
    """Somebody requests to read."""
    OTHER = auto()
    """Nothing that matters here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestEvent:
    """One request of an ingest server."""

    kind: IngestKind
    publisher: Publisher
    token: str = ""
    """Of a reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRequest:
    """A request to the hooks."""

    body: bytes
    address: str
    """Host and port at which live workers reach the ingest server."""


def arguments(query: str) -> Mapping[str, str]:
    """Read the arguments behind the name of a stream, with or without a question mark."""
    return dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))


def ingest_event(  # noqa: PLR0913 - the fields that every server has
    kind: IngestKind, given: Mapping[str, str], *, name: str, app: str, client_id: str, address: str, server: str
) -> IngestEvent:
    """Build an event. `given` are the arguments of the stream, `address` is the client's, `server` the host and port.

    Raises ValueError where the event is not of a stream that can be named.
    """
    if kind is not IngestKind.OTHER and not (name and client_id and server):
        raise ValueError("a name, an id of the client and the address of the ingest server are required")
    publisher = Publisher(
        name=name,
        key=given.get(KEY_ARGUMENT, ""),
        client_id=client_id,
        ingest_address=f"{server}/{app}",
        address=address,
    )
    return IngestEvent(kind=kind, publisher=publisher, token=given.get(TOKEN_ARGUMENT, ""))
