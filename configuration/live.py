"""Settings of live streams: those that the relay serves, and those that are published to us."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from configuration.declaration import setting

MIN_SECRET_CHARACTERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfig:
    """Live streams over HTTP, which the relay fetches, converts and serves."""

    source_networks: tuple[str, ...] = setting(
        (),
        help="Internal networks that live streams may be fetched from, such as those of receivers in the same house:"
        " 192.168.1.0/24,… Everybody with a key for live streams can then watch what is served there. Videos may be"
        " imported from them, too.",
    )
    relay_host: str = setting("127.0.0.1", help="Address that the relay listens on.")
    relay_port: int = setting(8090, minimum=0, maximum=65_535, help="Port that the relay listens on. 0: any free one.")
    relay_max_sessions: int = setting(
        16, minimum=1, maximum=1000, help="Sources that one relay converts at a time, whatever the number of viewers."
    )
    relay_max_sessions_per_owner: int = setting(8, minimum=1, help="Those of them that one owner opened.")
    relay_max_sessions_per_host: int = setting(
        8,
        minimum=1,
        help="Those of an owner that come from one host. Receivers often have a few tuners only: those of all owners,"
        " if the host is an address in TRANSCODER_SOURCE_NETWORKS.",
    )
    relay_start_seconds: float = setting(
        15.0, minimum=1, maximum=120, help="Time limit from a request to the first byte of its stream."
    )
    relay_linger_seconds: float = setting(
        0.0, minimum=0, maximum=600, help="Time that a conversion goes on for after its last viewer has left."
    )
    relay_fallback: str = setting(
        "passthrough",
        choices=("none", "cpu", "audio", "passthrough"),
        help="How far a conversion may fall back when no GPU can take it: not at all, to the CPU, then to converting"
        " the audio only, then to passing the source through.",
    )
    relay_remux: str = setting(
        "auto",
        choices=("auto", "native", "ffmpeg"),
        help="What converts audio only: our own process, ffmpeg, or the other one when the first cannot.",
    )

    def problems(self) -> Iterator[str]:
        for text in self.source_networks:
            try:
                ip_network(text)
            except ValueError as error:
                yield f"TRANSCODER_SOURCE_NETWORKS: {error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LivestreamConfig:
    """Live streams that people publish by RTMP, and the ingest servers that receive them."""

    ingest_secret: str = setting(
        "",
        secret=True,
        help="Secret that ingest servers send with their hooks, and that signs the tokens by which live workers read"
        " streams from them. At least 16 characters. Empty: nobody can publish.",
    )
    ingest_address: str = setting(
        "127.0.0.1:1935",
        help="Host and port by which live workers reach an ingest server, for `ingest_configuration` on its machine.",
    )
    ingest_hooks_host: str = setting(
        "127.0.0.1", help="Address that the hooks of ingest servers listen on. It must not be reachable from outside."
    )
    ingest_hooks_port: int = setting(8091, minimum=0, maximum=65_535, help="Port of these hooks. 0: any free one.")
    live_rtmp_url: str = setting(
        "rtmp://127.0.0.1:1935/live", help="URL that publishers are shown; they append their stream key to it."
    )
    live_rtmps_url: str = setting("", help="The same by TLS. Empty: there is none.")
    live_lease_seconds: float = setting(
        6.0,
        minimum=2,
        maximum=60,
        help="Time for which a live stream stays with a worker that does not renew its lease. It is renewed four times"
        " in it. This and a few seconds are what a stream loses with its worker.",
    )
    live_slots: int = setting(2, minimum=1, maximum=64, help="Streams that one live worker of `make live` encodes.")
    live_max_streams: int = setting(100, minimum=1, help="Live streams of the installation at a time.")
    live_max_streams_per_owner: int = setting(10, minimum=1, help="Those of them that one owner may have.")
    live_max_bitrate: int = setting(
        50_000_000, minimum=100_000, help="Bits per second that a publisher may send; a stream can have a lower limit."
    )
    live_max_height: int = setting(
        2160,
        minimum=144,
        maximum=4320,
        help="Lines of the frames that a publisher may send, by the shorter side; a stream can have a lower limit.",
    )

    def problems(self) -> Iterator[str]:
        if self.ingest_secret and len(self.ingest_secret) < MIN_SECRET_CHARACTERS:
            yield f"TRANSCODER_INGEST_SECRET must have at least {MIN_SECRET_CHARACTERS} characters"
        if not re.fullmatch(r"[A-Za-z0-9_-]*", self.ingest_secret):  # it stands in configurations of ingest servers
            yield "TRANSCODER_INGEST_SECRET may have letters and digits, - and _ only"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusGrpcConfig:
    """The gRPC status service: who is on the air, for other programs. It has no keys: its address is its protection."""

    status_grpc_host: str = setting("127.0.0.1", help="Address that the gRPC status service listens on.")
    status_grpc_port: int = setting(50053, minimum=0, maximum=65_535, help="Its port. 0: any free one.")
    status_grpc_certificate: str = setting(
        "", help="PEM file with the certificate of the gRPC status service and its chain. Empty: no TLS."
    )
    status_grpc_private_key: str = setting("", help="PEM file with the private key of this certificate.")
    status_grpc_client_authority: str = setting(
        "", help="PEM file with the authority whose clients may call. Empty: all that reach it."
    )

    def problems(self) -> Iterator[str]:
        if bool(self.status_grpc_certificate) != bool(self.status_grpc_private_key):
            yield "TRANSCODER_STATUS_GRPC_CERTIFICATE and TRANSCODER_STATUS_GRPC_PRIVATE_KEY need each other"
        if self.status_grpc_client_authority and not self.status_grpc_certificate:
            yield "TRANSCODER_STATUS_GRPC_CLIENT_AUTHORITY needs TRANSCODER_STATUS_GRPC_CERTIFICATE"
