"""The ingest server of the embedded default, on loopback: see `livestreams.nginx`."""

from __future__ import annotations

import hashlib

from embedded.home import Home
from embedded.nginx import NginxService
from embedded.ports import LOOPBACK
from execution.daemons import DaemonError
from livestreams.nginx import APPLICATION, MODULES, UPDATE_SECONDS, Certificate, NginxIngest, TlsListener

RTMP_PORT = 1935  # tried first
RTMPS_PORT = 1936  # the same


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
        self._hooks_url = hooks_url
        self._secret = secret
        self._certificate = certificate
        self._update_seconds = update_seconds
        self.port = home.port(self.name, preferred=RTMP_PORT)
        self._hooks_port = home.port(f"{self.name}-calls")

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
        return (self.port, self._hooks_port, *((self.tls_port, self._decrypted_port) if self._certificate else ()))

    @property
    def _decrypted_port(self) -> int:
        return self.home.port(f"{self.name}-decrypted")

    def fingerprint(self) -> str:
        return hashlib.sha256((super().fingerprint() + self._ingest().configuration()).encode()).hexdigest()

    def configuration(self) -> str:
        """See NginxService. Raises DaemonError where a module is not installed."""
        ingest = self._ingest()
        for name in ingest.modules:
            if not (MODULES / f"ngx_{name}_module.so").exists():
                raise DaemonError(f"nginx' module {name} (libnginx-mod-{name}) is not installed: run `make setup`")
        return ingest.configuration()

    def _ingest(self) -> NginxIngest:
        tls = None
        if self._certificate:
            listen = f"{LOOPBACK}:{self.tls_port}"
            tls = TlsListener(certificate=self._certificate, listen=listen, decrypted_port=self._decrypted_port)
        return NginxIngest(
            listen=self.address,
            address=self.address,
            hooks_url=self._hooks_url,
            secret=self._secret,
            hooks_port=self._hooks_port,
            folder=self.folder,
            update_seconds=self._update_seconds,
            tls=tls,
        )
