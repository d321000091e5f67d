"""Builds the relay of this process from the settings. Nothing else here reads them."""

import os
import socket
import threading
from dataclasses import replace
from ipaddress import ip_network
from uuid import UUID

from django.conf import settings
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from access.callers import Caller, still_working
from access.rates import admit_caller, check_live_rate
from access.scopes import Scope as AccessScope
from access.wiring import party_turns, repeated_refusals
from api.asgi import App, Scope, threaded
from api.cross_origin import CrossOrigin
from api.request_log import RequestLog
from configuration import Config
from execution.isolation import isolation_details, jail_of
from observability.version import VERSION
from outbound.addresses import reach_into
from relay.engines.engine import Attempts, EngineKind, EngineRequest
from relay.engines.fallback import transcode_engine
from relay.engines.remux import remux_engine
from relay.http.app import PUSH, REMUX, TRANSCODE, Doors, RelayApp
from relay.http.connections import LiveHttp
from relay.http.credentials import Credentials
from relay.http.keeper import RelayKeeper
from relay.http.operations import RelayOperations
from relay.http.recording import SessionRecords
from relay.http.server import RelayServer
from relay.http.streams import Streams
from relay.metrics import expect_series
from relay.runs.registry import Opens, Registry, RunLimits
from relay.runs.run import LiveRequest
from relay.sources.opening import open_source
from relay.sources.pushed import PushedSource
from relay.sources.source import Source, SourceLimits
from transcoding.planning.live import LIVE_SIZES

_THREADS = 16
"""Requests whose rights are looked up at a time."""
_USER_AGENT = f"vodmill/{VERSION}"


def relay_server(*, host: str, port: int) -> RelayServer:
    """Build the server of this process, in its main thread and on its event loop. It serves until a signal."""
    config: Config = settings.TRANSCODER
    expect_series()
    node = f"{config.worker.node_name}-relay" if config.worker.node_name else f"{socket.gethostname()}-{os.getpid()}"
    LiveHttp.named_proxies = tuple(ip_network(text) for text in config.site.trusted_proxies)
    transcodes, remuxes = transcode_engine(config, node=node), remux_engine(config)

    def ways(request: EngineRequest, owner_id: UUID) -> Attempts:
        if request.kind is EngineKind.REMUX:
            return remuxes.attempts(request, owner_id=owner_id)
        return transcodes.attempts(request, owner_id=owner_id)

    def close() -> None:
        remuxes.close()
        transcodes.close()

    records = SessionRecords(node=node)
    registry = Registry(ways=ways, records=records, limits=_limits(config))
    keeper = RelayKeeper(
        registry,
        records,
        node=node,
        slots=config.live.relay_max_sessions,
        heartbeat_seconds=config.lease.node_heartbeat_seconds,
        ensure_reporter=transcodes.keep,
        info={"isolation": jail_of(config.execution).isolation, **isolation_details()},
    )
    operations = RelayOperations(
        draining=lambda: registry.draining,
        encoders=transcodes.hardware,
        hardware=transcodes.state,
        metrics_token=config.metrics.metrics_token,
    )
    streams = Streams(registry, start_seconds=config.live.relay_start_seconds)
    app = RelayApp(streams, operations, party_turns(threads=_THREADS), doors(config))
    return RelayServer(
        in_front(app, config),
        registry,
        keeper,
        records,
        host=host,
        port=port,
        grace_seconds=config.worker.drain_grace_seconds,
        closes=close,
    )


def in_front(app: App, config: Config) -> App:
    """Put what concerns every request in front of the relay's application."""
    origins = config.site.cors_origins
    shared = RequestLog(CrossOrigin(repeated_refusals(app), origins=origins, below=(TRANSCODE, PUSH, REMUX)))
    proxied: App = ProxyHeadersMiddleware(shared, list(config.site.trusted_proxies))  # type: ignore[assignment, arg-type]  # its types name each kind of message
    return proxied


def doors(config: Config) -> Doors:
    """Return who may open streams, and of which sources."""
    reach = reach_into(config.live.source_networks, plain=True)
    limits = SourceLimits()

    def opens(request: LiveRequest) -> Opens:
        fitting = replace(limits, height=LIVE_SIZES[request.profile].max_height)
        theirs = reach.of(request.owner_id)

        def opened(ended: threading.Event) -> Source:
            return open_source(request.source_url, reach=theirs, limits=fitting, user_agent=_USER_AGENT, ended=ended)

        return opened

    return Doors(
        admit=_admit,
        opens=opens,
        pushed=lambda: PushedSource(silence_seconds=limits.silence_seconds),
        credentials=Credentials(threaded(still_working)),
    )


def _admit(scope: Scope) -> Caller:
    caller = admit_caller(scope, AccessScope.LIVE_WATCH, keys_only=True)
    check_live_rate(caller)
    return caller


def _limits(config: Config) -> RunLimits:
    live = config.live
    return RunLimits(
        max_runs=live.relay_max_sessions,
        max_runs_per_owner=live.relay_max_sessions_per_owner,
        max_runs_per_host=live.relay_max_sessions_per_host,
        receivers=tuple(ip_network(text) for text in live.source_networks),
        start_seconds=live.relay_start_seconds,
        linger_seconds=live.relay_linger_seconds,
    )
