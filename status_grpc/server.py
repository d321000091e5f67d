"""The server of the status service: threads, gRPC's own health service, reflection, TLS."""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from observability.health import Health, worst_of
from status_grpc.generated import module_service_pb2 as pb
from status_grpc.generated.module_service_pb2_grpc import ModuleServiceServicer, add_ModuleServiceServicer_to_server

THREADS = 8
CHECK_SECONDS = 1.0
CLOSE_SECONDS = 5.0
MAX_MESSAGE_BYTES = 64 * 1024
"""Size of a request: all of ours are a few bytes."""
SERVICE = pb.DESCRIPTOR.services_by_name["ModuleService"].full_name

log = logging.getLogger(__name__)


class NotListening(Exception):
    """The port is taken, or the address is not that of this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """PEM files of the server, and of the authority that signs those of its clients; None: it asks them for none."""

    chain: bytes
    private_key: bytes
    client_authority: bytes | None = None


class StatusServer:
    """Serves calls until it is closed. Its health follows `checks`, which is called about every second."""

    def __init__(
        self,
        service: ModuleServiceServicer,
        *,
        checks: Callable[[], Mapping[str, Health]],
        host: str,
        port: int,
        certificates: Certificates | None = None,
    ) -> None:
        self._checks = checks
        self._health = health.HealthServicer()
        self._closing = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="health", daemon=True)
        options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(ThreadPoolExecutor(THREADS, thread_name_prefix="call"), options=options)
        add_ModuleServiceServicer_to_server(service, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        self._report(Health.FAILED)
        self.port = self._listen(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", certificates)

    def _listen(self, address: str, certificates: Certificates | None) -> int:
        try:
            if certificates is None:
                return self._server.add_insecure_port(address)
            credentials = grpc.ssl_server_credentials(
                [(certificates.private_key, certificates.chain)],
                root_certificates=certificates.client_authority,
                require_client_auth=certificates.client_authority is not None,
            )
            return self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise NotListening(f"cannot listen on {address}") from error

    def start(self) -> None:
        """Serve, in threads of its own."""
        self._follower.start()
        self._server.start()
        log.info("status service listens", extra={"event": "status_grpc_listening", "port": self.port})

    def close(self) -> None:
        """Report NOT_SERVING, and end when the calls that run are done, or after `CLOSE_SECONDS`."""
        self._closing.set()
        self._health.enter_graceful_shutdown()
        self._server.stop(CLOSE_SECONDS).wait()

    def _follow(self) -> None:
        while not self._closing.is_set():
            self._report(worst_of(self._checks()))
            self._closing.wait(CHECK_SECONDS)

    def _report(self, worst: Health) -> None:
        serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
        for name in (health.OVERALL_HEALTH, SERVICE):
            self._health.set(name, not_serving if worst is Health.FAILED else serving)
