"""Facts that a relay publishes about itself: whether it takes requests, its hardware, and its metrics."""

from collections.abc import Callable, Collection

from observability.health import Health, run_checks, worst_of
from observability.metrics import exposition
from observability.scraping import token_matches
from observability.version import VERSION
from operations.health import WAIT_SECONDS, dependency_checks
from relay.metrics import METERS

_LOOPBACK = frozenset({"127.0.0.1", "::1"})


class RelayOperations:
    """Answers probes. `encoders` lists the hardware encoders that can be used now, by ffmpeg's names.

    `hardware` says whether there are any.
    """

    def __init__(
        self,
        *,
        draining: Callable[[], bool],
        encoders: Callable[[], Collection[str]],
        hardware: Callable[[], str],
        metrics_token: str,
    ) -> None:
        self._draining = draining
        self._encoders = encoders
        self._hardware = hardware
        self._metrics_token = metrics_token

    def ready(self) -> dict[str, object]:
        """Return the document of /readyz: a relay that drains takes no streams, and one without a database neither."""
        checks = run_checks(dependency_checks(with_store=False), timeout_seconds=WAIT_SECONDS)
        status = Health.FAILED if self._draining() else worst_of(checks)
        return {"status": status, "draining": self._draining(), "checks": checks}

    def health(self) -> dict[str, object]:
        """Return the document of /health."""
        vaapi = any(name.endswith("_vaapi") for name in self._encoders())
        status = "draining" if self._draining() else "ok"
        return {"status": status, "vaapi_available": vaapi, "hardware": self._hardware(), "version": VERSION}

    def metrics(self, authorization: str | None, *, host: str) -> bytes | None:
        """Return the metrics of this process. None: neither the token was shown, nor is there none and it is local."""
        token = self._metrics_token
        allowed = token_matches(authorization, token) if token else host in _LOOPBACK
        return exposition(METERS) if allowed else None
