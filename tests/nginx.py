"""nginx with the configurations of the documentation, on ports of this run."""

from __future__ import annotations

import re
import subprocess
from abc import abstractmethod
from pathlib import Path

from embedded.home import REPOSITORY, Home
from embedded.nginx import NginxService
from embedded.ports import LOOPBACK
from livestreams.nginx import http_folders

DOCS = REPOSITORY / "docs"


def documented(name: str) -> list[str]:
    """Return the configurations in a page of the documentation, in their order."""
    return re.findall(r"```nginx\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), flags=re.DOTALL)


class DocumentedNginx(NginxService):
    """An nginx with the servers of a subclass."""

    @abstractmethod
    def servers(self) -> str:
        """Configuration within `http`."""

    def configuration(self) -> str:
        own = f"access_log off;\n{http_folders(self.folder)}{self.servers()}"
        log = f"error_log {self.folder / 'error.log'} warn;\n"
        return f"{log}events {{ worker_connections 64; }}\nhttp {{\n{own}\n}}\n"


class CachingNginx(DocumentedNginx):
    """The nginx of docs/delivery.md: `cache_port` caches playback of an API, `base_port` serves objects of a folder."""

    name = "caching-nginx"

    def __init__(self, home: Home, *, api_port: int, objects: Path) -> None:
        super().__init__(home)
        self.cache_port, self.base_port = (home.port(f"{self.name}-{part}") for part in ("cache", "base"))
        self._api_port = api_port
        self._objects = objects

    def ports(self) -> tuple[int, ...]:
        return (self.cache_port, self.base_port)

    def servers(self) -> str:
        caching, base = documented("delivery.md")
        caching = caching.replace("/var/cache/nginx/play", str(self.folder / "cache"))
        caching = caching.replace("listen 80", f"listen {LOOPBACK}:{self.cache_port}")
        base = base.replace("listen 80", f"listen {LOOPBACK}:{self.base_port}")
        base = base.replace("/srv/vodmill/objects", str(self._objects))
        return caching.replace("127.0.0.1:8000", f"{LOOPBACK}:{self._api_port}") + base


class Nginx(DocumentedNginx):
    """The nginx of docs/reverse-proxies.md. `tls_port` has the first documented server, `path_port` the second one.

    `whole_path_port` has the second one, too, with the path passed on as it is.
    """

    name = "nginx"

    def __init__(self, home: Home, *, tls_api_port: int, path_api_port: int) -> None:
        super().__init__(home)
        self.tls_port, self.path_port, self.whole_path_port = (
            home.port(f"{self.name}-{part}") for part in ("tls", "path", "whole-path")
        )
        self._tls_api_port = tls_api_port
        self._path_api_port = path_api_port

    @property
    def certificate(self) -> Path:
        """Path of the self-signed certificate for `localhost`."""
        return self.folder / "certificate.pem"

    @property
    def errors(self) -> str:
        """The error log: warnings, too, such as that of a body in a temporary file."""
        return (self.folder / "error.log").read_text(encoding="utf-8")

    def ports(self) -> tuple[int, ...]:
        return (self.tls_port, self.path_port, self.whole_path_port)

    def servers(self) -> str:
        key = self.folder / "key.pem"
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2", "-nodes"]
        new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        subprocess.run([*new, "-keyout", key, "-out", self.certificate, *subject], check=True, capture_output=True)
        tls, path = documented("reverse-proxies.md")
        tls = tls.replace("listen 443", f"listen {LOOPBACK}:{self.tls_port}").replace(
            "video.example.org;", "localhost;"
        )
        tls = re.sub(r"/etc/ssl/\S+\.pem", str(self.certificate), re.sub(r"/etc/ssl/\S+\.key", str(key), tls))
        tls = tls.replace("127.0.0.1:8000", f"{LOOPBACK}:{self._tls_api_port}")
        path = path.replace("127.0.0.1:8000", f"{LOOPBACK}:{self._path_api_port}")
        cut = path.replace("listen 80", f"listen {LOOPBACK}:{self.path_port}")
        whole = path.replace("listen 80", f"listen {LOOPBACK}:{self.whole_path_port}")
        whole = whole.replace(f"{self._path_api_port}/;", f"{self._path_api_port};")
        return f"{tls}\n{cut}\n{whole}"
