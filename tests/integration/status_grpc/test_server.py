"""The gRPC server: health that follows the checks, reflection, certificates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from execution.daemons import poll_until
from observability.health import Health
from status_grpc.generated import module_service_pb2 as pb
from status_grpc.generated.module_service_pb2_grpc import ModuleServiceServicer, ModuleServiceStub
from status_grpc.server import SERVICE, Certificates, NotListening, StatusServer
from tests.ingest_process import a_certificate

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@contextmanager
def serving(checks: dict[str, Health], certificates: Certificates | None = None) -> Iterator[StatusServer]:
    server = StatusServer(
        ModuleServiceServicer(), checks=lambda: dict(checks), host="127.0.0.1", port=0, certificates=certificates
    )
    server.start()
    yield server
    server.close()


def state_of(channel: grpc.Channel, service: str) -> int:
    """Do what grpc_health_probe does."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    status: int = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=60).status
    return status


def states(channel: grpc.Channel) -> set[int]:
    return {state_of(channel, service) for service in ("", SERVICE)}


def test_health_follows_the_required_checks() -> None:
    checks = {"database": Health.OK, "store": Health.DEGRADED}
    with serving(checks) as server, grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert poll_until(lambda: states(channel) == {SERVING}, 120)
        checks["database"] = Health.FAILED
        assert poll_until(lambda: states(channel) == {NOT_SERVING}, 120)
        checks["database"] = Health.OK
        assert poll_until(lambda: states(channel) == {SERVING}, 120)


def test_reflection_describes_the_service() -> None:
    with serving({}) as server, grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert SERVICE in ProtoReflectionDescriptorDatabase(channel).get_services()


def test_a_taken_port_is_an_error() -> None:
    with serving({}) as server, pytest.raises(NotListening):
        StatusServer(ModuleServiceServicer(), checks=dict, host="127.0.0.1", port=server.port)


def test_certificates_are_required_of_clients_where_an_authority_is_set(tmp_path: Path) -> None:
    written = a_certificate(tmp_path)
    chain, key = written.chain.read_bytes(), written.key.read_bytes()
    certificates = Certificates(chain=chain, private_key=key, client_authority=chain)
    own = grpc.ssl_channel_credentials(root_certificates=chain, private_key=key, certificate_chain=chain)
    nobody = grpc.ssl_channel_credentials(root_certificates=chain)
    with serving({}, certificates) as server:
        address = f"localhost:{server.port}"
        with grpc.secure_channel(address, own) as channel:
            assert poll_until(lambda: state_of(channel, "") == SERVING, 120)
        for refused in (grpc.secure_channel(address, nobody), grpc.insecure_channel(address)):
            with refused as channel, pytest.raises(grpc.RpcError):
                ModuleServiceStub(channel).HealthCheck(pb.HealthCheckRequest(), timeout=5)
