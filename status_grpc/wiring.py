"""Builds the status service of this process from the settings. Nothing else here reads them."""

from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from configuration import Config
from observability.health import Health, run_checks
from operations.health import WAIT_SECONDS, dependency_checks
from status_grpc.server import Certificates, StatusServer
from status_grpc.service import ModuleService


def status_server(*, host: str, port: int) -> StatusServer:
    """Build the server. Raises NotListening, and OSError for certificates that cannot be read."""
    config: Config = settings.TRANSCODER
    service = ModuleService(
        checks=_checks,
        max_streams=config.livestreams.live_max_streams,
        silence_seconds=config.lease.node_silence_seconds,
    )
    return StatusServer(service, checks=_checks, host=host, port=port, certificates=_certificates(config))


def _checks() -> Mapping[str, Health]:
    return run_checks(dependency_checks(), timeout_seconds=WAIT_SECONDS)


def _certificates(config: Config) -> Certificates | None:
    grpc = config.status_grpc
    if not grpc.status_grpc_certificate:
        return None
    authority = grpc.status_grpc_client_authority
    return Certificates(
        chain=Path(grpc.status_grpc_certificate).read_bytes(),
        private_key=Path(grpc.status_grpc_private_key).read_bytes(),
        client_authority=Path(authority).read_bytes() if authority else None,
    )
