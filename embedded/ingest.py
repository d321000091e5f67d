"""The server that publishers of live streams connect to: nginx with its RTMP module.

It keeps the publisher, whatever happens to workers, and calls our hooks. Its requests go through a location of its
own, which adds the headers that the module cannot send, and responds in place of hooks that are unavailable where that
is harmless.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from embedded.home import Home
from embedded.nginx import NginxService, module
from embedded.ports import LOOPBACK

APPLICATION = "live"
RTMP_PORT = 1935  # tried first
RTMPS_PORT = 1936  # the same
HOOKS_PATH = "/hooks/nginx"
UPDATE_SECONDS = 3
HANDSHAKE_SECONDS = 10
"""Silence after which a connection is closed whose handshake or writing does not go on."""
IDLE_PUBLISHER_SECONDS = 30
"""Silence after which a publisher is sent away."""
MAX_CONNECTIONS = 256

SECRET_HEADER = "X-Vodmill-Ingest-Secret"  # noqa: S105 - the name of the header
ADDRESS_HEADER = "X-Vodmill-Ingest-Address"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of a certificate, with its chain, and of its key."""

    chain: Path
    key: Path


class Ingest(NginxService):
    """An ingest server on loopback. `hooks_url` is the base URL of our hooks, `secret` identifies it to them."""

    name = "ingest"

    def __init__(
        self,
        home: Home,
        *,
        hooks_url: str,
        secret: str,
        certificate: Certificate | None = None,
        update_seconds: float = UPDATE_SECONDS,
    ) -> None:
        super().__init__(home)
        self._hooks_url = hooks_url.rstrip("/")
        self._secret = secret
        self._certificate = certificate
        self._update_seconds = update_seconds
        self.port = home.port(self.name, preferred=RTMP_PORT)
        self._hooks_port = home.port(f"{self.name}-hooks")

    @property
    def address(self) -> str:
        """Host and port that workers pull from."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """URL that publishers connect to, without the key."""
        return f"rtmp://{self.address}/{APPLICATION}"

    @property
    def tls_port(self) -> int:
        return self.home.port(f"{self.name}-tls", preferred=RTMPS_PORT)

    @property
    def tls_url(self) -> str:
        """The same by RTMPS, if there is a certificate."""
        return f"rtmps://{LOOPBACK}:{self.tls_port}/{APPLICATION}"

    def ports(self) -> tuple[int, ...]:
        return (self.port, self._hooks_port, *((self.tls_port, self._inner_port) if self._certificate else ()))

    @property
    def _inner_port(self) -> int:
        """Port that decrypted connections arrive at, with the address of the publisher before them."""
        return self.home.port(f"{self.name}-decrypted")

    def fingerprint(self) -> str:
        return hashlib.sha256((super().fingerprint() + self.configuration()).encode()).hexdigest()

    def configuration(self) -> str:
        modules = module("rtmp") + (module("stream") if self._certificate else "")
        own = self._rtmp() + self._hooks() + (self._tls(self._certificate) if self._certificate else "")
        # Notices of the module have the keys of publishers.
        return f"{modules}error_log stderr warn;\nevents {{ worker_connections {4 * MAX_CONNECTIONS}; }}\n{own}"

    def _rtmp(self) -> str:
        hooks = f"http://{LOOPBACK}:{self._hooks_port}{self._private_path}"
        inner = f"listen {LOOPBACK}:{self._inner_port} proxy_protocol;" if self._certificate else ""
        return f"""
rtmp {{
    access_log off;  # it has the keys of publishers
    max_connections {MAX_CONNECTIONS};
    server {{
        listen {LOOPBACK}:{self.port} so_keepalive=on;
        {inner}
        timeout {HANDSHAKE_SECONDS}s;
        ping 30s;
        ping_timeout 15s;
        chunk_size 65536;
        max_message 4M;  # a key frame
        max_streams 16;  # messages that one connection may begin at a time
        out_queue 2048;  # a reader may pause for half a minute
        notify_method post;
        application {APPLICATION} {{
            live on;
            wait_key on;
            wait_video on;
            idle_streams on;  # readers wait for the publisher
            publish_notify on;
            drop_idle_publisher {IDLE_PUBLISHER_SECONDS}s;
            on_publish {hooks}/event;
            on_publish_done {hooks}/event;
            on_play {hooks}/event;
            on_update {hooks}/update;
            notify_update_timeout {round(self._update_seconds * 1000)}ms;
            notify_update_strict off;
        }}
    }}
}}
"""

    def _hooks(self) -> str:
        calling = f"""
            proxy_pass {self._hooks_url}{HOOKS_PATH};
            proxy_set_header {SECRET_HEADER} {self._secret};
            proxy_set_header {ADDRESS_HEADER} {self.address};
            proxy_connect_timeout 1s;"""
        return f"""
http {{
    access_log off;
    client_max_body_size 64k;
    {self.http_folders()}
    server {{
        listen {LOOPBACK}:{self._hooks_port};
        location / {{ return 404; }}
        location = /none {{ return 204; }}
        location = {self._private_path}/event {{{calling}
            proxy_read_timeout 8s;
        }}
        location = {self._private_path}/update {{{calling}
            proxy_read_timeout 2s;
            proxy_intercept_errors on;
            error_page 500 502 503 504 =204 /none;  # hooks that are unavailable end no stream
        }}
    }}
}}
"""

    @property
    def _private_path(self) -> str:
        """Path that only the RTMP module knows, or any process of the machine could speak to our hooks as this one."""
        return f"/{hashlib.sha256(f'local {self._secret}'.encode()).hexdigest()}"

    def _tls(self, certificate: Certificate) -> str:
        return f"""
stream {{
    server {{
        listen {LOOPBACK}:{self.tls_port} ssl so_keepalive=on;
        ssl_certificate {certificate.chain};
        ssl_certificate_key {certificate.key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_handshake_timeout {HANDSHAKE_SECONDS}s;
        proxy_pass {LOOPBACK}:{self._inner_port};
        proxy_protocol on;
        proxy_timeout 60s;
    }}
}}
"""
