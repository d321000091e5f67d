"""The configuration of nginx as an ingest server: its RTMP module keeps publishers and calls our hooks.

Its requests go through a location of its own, which adds the headers that the module cannot send, and responds in place
of hooks that are unavailable where that is harmless: publishers stay connected whatever happens to workers or the API.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

APPLICATION = "live"
HOOKS_PATH = "/hooks/nginx"
UPDATE_SECONDS = 3
HANDSHAKE_SECONDS = 10
"""Silence after which a connection is closed whose handshake or writing does not go on."""
IDLE_PUBLISHER_SECONDS = 30
"""Silence after which a publisher is sent away."""
MAX_CONNECTIONS = 256

SECRET_HEADER = "X-Vodmill-Ingest-Secret"  # noqa: S105 - the name of the header
ADDRESS_HEADER = "X-Vodmill-Ingest-Address"

MODULES = Path("/usr/lib/nginx/modules")
"""Folder of the modules of Debian's packages."""
HTTP_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of a certificate, with its chain, and of its key."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsListener:
    """A listener of RTMPS. What it decrypts goes to a port of loopback, with the publisher's address before it."""

    certificate: Certificate
    listen: str
    decrypted_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NginxIngest:
    """One ingest server. `listen` are addresses with ports, `folder` is where nginx may write."""

    listen: str
    address: str
    """Host and port by which live workers reach it."""
    hooks_url: str
    """Base URL of our hooks."""
    secret: str
    """Identifies it to the hooks."""
    hooks_port: int
    """Port of loopback for the location that the RTMP module calls."""
    folder: Path
    update_seconds: float = UPDATE_SECONDS
    tls: TlsListener | None = None

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the modules that it loads, as in Debian's libnginx-mod-*."""
        return ("rtmp", "stream") if self.tls else ("rtmp",)

    def configuration(self) -> str:
        """Write all but what depends on the user who starts it."""
        modules = "".join(f"load_module {MODULES}/ngx_{name}_module.so;\n" for name in self.modules)
        own = self._rtmp() + self._hooks() + (self._tls(self.tls) if self.tls else "")
        # Notices of the module have the keys of publishers.
        return f"{modules}error_log stderr warn;\nevents {{ worker_connections {4 * MAX_CONNECTIONS}; }}\n{own}"

    def _rtmp(self) -> str:
        hooks = f"http://{_LOOPBACK}:{self.hooks_port}{self._private_path}"
        inner = f"listen {_LOOPBACK}:{self.tls.decrypted_port} proxy_protocol;" if self.tls else ""
        return f"""
rtmp {{
    access_log off;  # it has the keys of publishers
    max_connections {MAX_CONNECTIONS};
    server {{
        listen {self.listen} so_keepalive=on;
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
            notify_update_timeout {round(self.update_seconds * 1000)}ms;
            notify_update_strict off;
        }}
    }}
}}
"""

    def _hooks(self) -> str:
        folders = http_folders(self.folder)
        calling = f"""
            proxy_pass {self.hooks_url.rstrip("/")}{HOOKS_PATH};
            proxy_set_header {SECRET_HEADER} {self.secret};
            proxy_set_header {ADDRESS_HEADER} {self.address};
            proxy_connect_timeout 1s;"""
        return f"""
http {{
    access_log off;
    client_max_body_size 64k;
    {folders}
    server {{
        listen {_LOOPBACK}:{self.hooks_port};
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
        return f"/{hashlib.sha256(f'local {self.secret}'.encode()).hexdigest()}"

    def _tls(self, tls: TlsListener) -> str:
        return f"""
stream {{
    server {{
        listen {tls.listen} ssl so_keepalive=on;
        ssl_certificate {tls.certificate.chain};
        ssl_certificate_key {tls.certificate.key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_handshake_timeout {HANDSHAKE_SECONDS}s;
        proxy_pass {_LOOPBACK}:{tls.decrypted_port};
        proxy_protocol on;
        proxy_timeout 60s;
    }}
}}
"""


def http_folders(folder: Path) -> str:
    """Return directives of `http` that keep bodies of requests and responses below a folder."""
    return "".join(f"{name}_temp_path {folder / name};\n" for name in HTTP_FOLDERS)
