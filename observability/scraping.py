"""Metrics server: /metrics and /healthz of a process without a web server."""

import hmac
import logging
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from configuration import MetricsConfig
from observability.metrics import MEDIA_TYPE, exposition

LOOPBACK = "127.0.0.1"

log = logging.getLogger(__name__)


def token_matches(header: str | None, token: str) -> bool:
    """Compare a request's Authorization with the token, in constant time."""
    return bool(token) and hmac.compare_digest((header or "").encode(), f"Bearer {token}".encode())


class MetricsServer:
    """Serve GET /metrics with a token and GET /healthz without one, until `close`. Raises OSError if the port is taken.

    Without a configured token it listens on the loopback address only, and needs none.
    """

    def __init__(self, port: int, *, token: str, fault: Callable[[], str]) -> None:
        handler = type("Handler", (_Handler,), {"token": token, "fault": staticmethod(fault)})
        self._server = ThreadingHTTPServer(("" if token else LOOPBACK, port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics-server", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def metrics_server(config: MetricsConfig, *, fault: Callable[[], str]) -> MetricsServer | None:
    """Create the metrics server of a process; None if no port is configured, or another process has it.

    Two nodes of one machine may have the same settings: the second one works, without metrics.
    """
    if not config.metrics_port:
        return None
    try:
        return MetricsServer(config.metrics_port, token=config.metrics_token, fault=fault)
    except OSError as error:
        log.error(  # noqa: TRY400 - the traceback of a taken port says nothing
            "port %s has no metrics of this process: %s. Give each process a TRANSCODER_METRICS_PORT of its own.",
            config.metrics_port,
            error,
            extra={"event": "metrics_port_unavailable", "port": config.metrics_port},
        )
        return None


class _Handler(BaseHTTPRequestHandler):
    token: str
    fault: Callable[[], str]
    timeout = 10

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._metrics()
        elif self.path == "/healthz":
            fault = self.fault()
            status = HTTPStatus.SERVICE_UNAVAILABLE if fault else HTTPStatus.OK
            self._respond(status, "text/plain", f"{fault or 'ok'}\n".encode())
        else:
            self._respond(HTTPStatus.NOT_FOUND, "text/plain", b"")

    def _metrics(self) -> None:
        if self.token and not token_matches(self.headers.get("Authorization"), self.token):
            self._respond(HTTPStatus.UNAUTHORIZED, "text/plain", b"")
        else:
            self._respond(HTTPStatus.OK, MEDIA_TYPE, exposition())

    def _respond(self, status: HTTPStatus, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
        """Log nothing: requests come every few seconds."""
