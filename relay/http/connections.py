"""Connections that the application can close at once: a viewer who does not read never lets the rest be sent."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.connections import BoundedHttp

ABORT = "vodmill.abort"
"""Name in the scope of the function that closes the connection of a request, whatever waits to be sent."""
CLOSING = "vodmill.closing"
"""Name in the scope of the function that tells whether the connection of a request is closed."""


class LiveHttp(BoundedHttp):
    """The API's protocol, with the two functions above."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - an ASGI application
        cycle.scope[ABORT] = self.transport.abort  # type: ignore[literal-required]  # ours, beside ASGI's
        cycle.scope[CLOSING] = self.transport.is_closing  # type: ignore[literal-required]  # ours, beside ASGI's
        super()._start_asgi_task(cycle, app)
