"""All services of `make run`, in the order of their start."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping

from configuration import Config, load
from configuration.other_names import overridden
from embedded.client import Client
from embedded.home import REPOSITORY, Home
from embedded.ingest import Ingest
from embedded.pattern import Pattern
from embedded.product import Api, Dispatcher, IngestHooks, LiveWorker, Product, Relay, StatusGrpc, Worker
from embedded.servers import PostgreSQL, Redis, SeaweedFS
from embedded.service import Service
from execution import daemons
from execution.daemons import DaemonError
from storage.checking import Level
from storage.errors import StorageError
from storage.wiring import check_store, store_from

# Shorter chunks than in production, so that a short clip has several and keeps two slots busy.
DEFAULTS = {"TRANSCODER_MAX_CHUNK_SECONDS": "16", "TRANSCODER_DRAIN_GRACE_SECONDS": "3"}

OWN_STORE = (
    "TRANSCODER_STORAGE", "TRANSCODER_LOCAL_STORAGE_PATH", "TRANSCODER_S3_ENDPOINT_URL", "TRANSCODER_S3_BUCKET",
)  # fmt: skip
"""Settings that name a store of the user's own."""

API_KEY = "api_key"
ADMIN = "admin"


def _discard(_line: str) -> None:
    pass


class Stack:
    """The servers and the product's processes of one home.

    `durable=False` turns PostgreSQL's fsync off. `environ` replaces the environment that settings are read from.
    """

    def __init__(self, home: Home, *, durable: bool = True, environ: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.postgresql = PostgreSQL(home, durable=durable)
        self.redis = Redis(home)
        self.seaweedfs = SeaweedFS(home)
        self._ingest_secret = home.secret(Ingest.name)
        self.ingest = Ingest(home, hooks_url=IngestHooks(home, {}).url, secret=self._ingest_secret)
        given = os.environ if environ is None else environ
        self.own_store = any(given.get(name) for name in OWN_STORE)
        """The user's own store is used; SeaweedFS is not started."""
        self._environ = overridden({**DEFAULTS, **given}, self.settings())
        self.api = Api(home, self._environ)
        self.dispatcher = Dispatcher(home, self._environ)
        self.worker = Worker(home, self._environ)
        self.relay = Relay(home, self._environ)
        self.live_workers = tuple(LiveWorker(home, self._environ, number) for number in (1, 2))
        self.ingest_hooks = IngestHooks(home, self._environ)
        self.status_grpc = StatusGrpc(home, self._environ)
        self.pattern = Pattern(home, url="")  # to end it: only `embedded.live` starts it, with a key

    @property
    def servers(self) -> tuple[Service, ...]:
        return (self.postgresql, self.redis, self.seaweedfs)

    @property
    def product(self) -> tuple[Product, ...]:
        return (self.api, self.dispatcher, self.worker)

    @property
    def services(self) -> tuple[Service, ...]:
        """Everything that may run, in the order of the start."""
        return (*self.servers, *self.product, *self.live, *self.publishing)

    @property
    def live(self) -> tuple[Product, ...]:
        """Processes that `make live` adds."""
        return (self.relay, *self.live_workers, self.ingest_hooks, self.status_grpc)

    @property
    def publishing(self) -> tuple[Service, ...]:
        """The ingest server, and the test pattern that is published to it. They stay when the product is updated."""
        return (self.ingest, self.pattern)

    def settings(self) -> dict[str, str]:
        """Settings that connect the product's processes with the servers."""
        return {
            "TRANSCODER_SECRET_KEY": self.home.secret("django"),
            "TRANSCODER_HTTPS": "false",
            "TRANSCODER_DATABASE_URL": self.postgresql.url,
            "TRANSCODER_BROKER_URL": self.redis.url,
            "TRANSCODER_CACHE_URL": self.redis.cache_url,
            "TRANSCODER_SCRATCH_PATH": str(self.home.folder / "scratch"),
            "TRANSCODER_INGEST_SECRET": self._ingest_secret,
            "TRANSCODER_LIVE_RTMP_URL": self.ingest.url,
            **({} if self.own_store else self._seaweedfs_settings()),
        }

    def _seaweedfs_settings(self) -> dict[str, str]:
        return {
            "TRANSCODER_STORAGE": "s3",
            "TRANSCODER_S3_ENDPOINT_URL": self.seaweedfs.endpoint_url,
            "TRANSCODER_S3_PUBLIC_ENDPOINT_URL": "",
            "TRANSCODER_S3_BUCKET": self.seaweedfs.bucket,
            "TRANSCODER_S3_ACCESS_KEY": self.seaweedfs.access_key,
            "TRANSCODER_S3_SECRET_KEY": self.seaweedfs.secret_key,
        }

    def start(self, report: Callable[[str], None] = _discard) -> None:
        """Start everything that is not current, and wait until it is ready. Of `live`, only what runs already.

        Raises DaemonError, PortTaken, ConfigurationError.
        """
        live = [process for process in self.live if process.running()]
        config = load(self._environ)  # refuse wrong settings before anything starts
        self.home.make_private()
        if self.own_store:
            _check_store(config, report)
        for server in self.servers:
            if not (self.own_store and server is self.seaweedfs):
                _start(server, report)
        if not all(process.current() for process in self.product):
            self._prepare(report)
        for process in self.product:
            _start(process, report)
        for process in live:
            _start(process, report)

    def start_live(self, report: Callable[[str], None] = _discard) -> None:
        """Start everything, with what is for live streams. Raises as `start` does."""
        self.start(report)
        for process in (*self.live, self.ingest):
            _start(process, report)

    def client(self) -> Client:
        """Return a client of the running API. Creates an API key unless the stored one works."""
        stored = self.home.find_secret(API_KEY)
        if stored:
            client = Client(self.api.url, stored)
            if not client.key_refused():
                return client
            client.close()
        return Client(self.api.url, self._new_key())

    def admin_login(self) -> tuple[str, str]:
        """Return name and password of a superuser who acts for the default owner. Creates the account on first use."""
        password = self.home.find_secret(ADMIN)
        if password is None:
            password = secrets.token_urlsafe(18)
            command = [sys.executable, "manage.py", "createsuperuser", "--no-input", "--skip-checks"]
            command += ["--username", ADMIN, "--email", ""]
            environ = {**self.dispatcher.environ(), "DJANGO_SUPERUSER_PASSWORD": password}
            daemons.run(command, environ=environ, folder=REPOSITORY)
            daemons.run([sys.executable, "manage.py", "member_add", ADMIN], environ=environ, folder=REPOSITORY)
            self.home.store_secret(ADMIN, password)
        return ADMIN, password

    def _new_key(self) -> str:
        command = [sys.executable, "manage.py", "apikey_create", "embedded"]
        key = daemons.run(command, environ=self.dispatcher.environ(), folder=REPOSITORY).strip()
        self.home.store_secret(API_KEY, key)
        return key

    def close(self, report: Callable[[str], None] = _discard) -> None:
        """Stop all services, the product before the servers it uses."""
        for service in reversed(self.services):
            if service.close():
                report(f"{service.name} stopped")

    def _prepare(self, report: Callable[[str], None]) -> None:
        """Migrate the database and set up the bucket, while no process of an older version runs."""
        for process in (*self.product, *self.live):
            process.close()
        report("migrating the database")
        command = [sys.executable, "manage.py", "migrate", "--no-input", "--skip-checks"]
        daemons.run(command, environ=self.dispatcher.environ(), folder=REPOSITORY)
        if not self.own_store:  # which was prepared and checked before
            store_from(load(self._environ).storage).prepare()


def _check_store(config: Config, report: Callable[[str], None]) -> None:
    """Prepare the user's own store and try it out. Raises DaemonError."""
    report("checking your store")
    try:
        store_from(config.storage).prepare()
    except StorageError as error:
        reason = str(error).removeprefix(f"{error.key}: ")
        raise DaemonError(f"your store cannot be used: {reason}") from error
    failures = 0
    for finding in check_store(config):
        failures += finding.level is Level.FAILED
        if finding.level is not Level.OK:
            report(f"  {finding.level}: {finding.text}")
    if failures:
        raise DaemonError("your store cannot be used like this: see docs/storage.md")


def _start(service: Service, report: Callable[[str], None]) -> bool:
    started = service.start()
    service.wait_ready()
    ports = ", ".join(str(port) for port in service.ports()[:1])
    report(f"{service.name} {'started' if started else 'runs already'}" + (f" on port {ports}" if ports else ""))
    return started
