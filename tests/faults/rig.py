"""The whole product on two nodes with faulty networks before its servers, and what tests do to it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from configuration import load
from embedded.client import Client, Json
from embedded.home import REPOSITORY, Home
from embedded.product import Api, Dispatcher, Product, Worker
from embedded.service import Service
from embedded.stack import API_KEY, Stack
from execution import daemons
from execution.process import descendant_pids
from storage.protocol import ObjectStore
from storage.wiring import store_from
from tests import migrated
from tests.faults.proxy import StoreProxy, TcpProxy
from tests.pacing import PacedFfmpeg

LEASE_SECONDS = 15
"""A busy machine takes some seconds to restart a server, which must cost nobody a lease."""
RENEW_SECONDS = 2
STALL_SECONDS = 8
SLACK_SECONDS = 30
"""Seconds that a busy machine may add to a bound that the product promises; what is killed is paced to last longer."""
POISON_ATTEMPTS = 8
"""More than the deaths that random kills bring upon one innocent step in a row."""
OVER = ("completed", "failed", "cancelled")

SETTINGS = {
    "TRANSCODER_LEASE_SECONDS": str(LEASE_SECONDS),
    "TRANSCODER_LEASE_RENEW_SECONDS": str(RENEW_SECONDS),
    "TRANSCODER_DISPATCHER_TICK_SECONDS": "0.5",
    "TRANSCODER_NODE_HEARTBEAT_SECONDS": "0.5",
    "TRANSCODER_NODE_SILENCE_SECONDS": "15",
    "TRANSCODER_RETRY_BASE_SECONDS": "0.5",
    "TRANSCODER_RETRY_MAX_SECONDS": "2",
    "TRANSCODER_MAX_FAILURES": "6",
    "TRANSCODER_POISON_ATTEMPTS": str(POISON_ATTEMPTS),
    "TRANSCODER_PUBLISH_SECONDS": "0.3",
    "TRANSCODER_STALL_SECONDS": str(STALL_SECONDS),
    "TRANSCODER_DRAIN_GRACE_SECONDS": "60",
    "TRANSCODER_MIN_CHUNK_SECONDS": "8",
    "TRANSCODER_MAX_CHUNK_SECONDS": "8",
    "TRANSCODER_FFMPEG_THREADS": "1",
    "TRANSCODER_THUMBNAILS": "false",
}

Row = tuple[Any, ...]


class Node(Worker):
    """A worker node with one slot."""

    slots = 1


class SecondNode(Node):
    name = "worker-2"


class NodeAhead(Node):
    name = "worker-ahead"


class NodeBehind(Node):
    name = "worker-behind"


class SecondDispatcher(Dispatcher):
    name = "dispatcher-2"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStep:
    """A step in the middle: the process that has it, and what of it is published."""

    id: str
    job: str
    kind: str
    attempt: int
    pid: int
    units_done: int
    units_total: int


class Rig(Stack):
    """A stack whose workers reach all servers through proxies, and whose API reaches PostgreSQL and the store so."""

    def __init__(self, home: Home) -> None:
        home.port("api")  # any free one: the usual one may be somebody's `make run`, or another stack's of these tests
        self.ffmpeg = PacedFfmpeg(home.folder / "bin")
        super().__init__(home, durable=False, environ={"PATH": os.environ["PATH"], **SETTINGS})
        self.worker_database = TcpProxy(self.postgresql.port)
        self.api_database = TcpProxy(self.postgresql.port)
        self.broker = TcpProxy(self.redis.port)
        self.worker_store = StoreProxy(int(self.seaweedfs.endpoint_url.rpartition(":")[2]))
        self.api_store = StoreProxy(self.worker_store.upstream_port)
        self.proxies = (self.worker_database, self.api_database, self.broker, self.worker_store, self.api_store)
        broker = {"TRANSCODER_BROKER_URL": self._through(self.broker, self.redis.port, self.redis.url)}
        store = {
            "TRANSCODER_S3_ENDPOINT_URL": f"http://127.0.0.1:{self.api_store.port}",
            "TRANSCODER_S3_PUBLIC_ENDPOINT_URL": self.seaweedfs.endpoint_url,
        }
        self.api = Api(home, self._environ | broker | store | self._database(self.api_database))
        self.dispatcher = Dispatcher(home, self._environ | broker)
        self.second_dispatcher = SecondDispatcher(home, self._environ | broker)
        self.worker = Node(home, self.node_environ("one"))
        self.second_node = SecondNode(home, self.node_environ("two"))
        self.jobs: list[str] = []
        self._database_session: psycopg.Connection[Row] | None = None

    @property
    def product(self) -> tuple[Product, ...]:
        return (self.api, self.dispatcher, self.second_dispatcher, self.worker, self.second_node)

    @property
    def nodes(self) -> tuple[Worker, ...]:
        return (self.worker, self.second_node)

    def node_environ(self, name: str) -> Mapping[str, str]:
        """The settings of a node with a disk of its own, whose every connection may be disturbed."""
        return {
            **self._environ,
            **self._database(self.worker_database),
            "TRANSCODER_BROKER_URL": self._through(self.broker, self.redis.port, self.redis.url),
            "TRANSCODER_S3_ENDPOINT_URL": f"http://127.0.0.1:{self.worker_store.port}",
            "TRANSCODER_SCRATCH_PATH": str(self.scratch(name)),
            **self.ffmpeg.environ,
        }

    def scratch(self, name: str) -> Path:
        return self.home.folder / "scratch" / name

    def _database(self, proxy: TcpProxy) -> dict[str, str]:
        return {"TRANSCODER_DATABASE_URL": self._through(proxy, self.postgresql.port, self.postgresql.url)}

    @staticmethod
    def _through(proxy: TcpProxy, port: int, url: str) -> str:
        return url.replace(f":{port}/", f":{proxy.port}/")

    def start(self, say: Callable[[str], None] = lambda _: None) -> None:
        self.ffmpeg.install()
        load(self._environ)
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait_ready()
        migrated.load(self.postgresql, self.postgresql.url)
        self.store().prepare()
        self.start_missing()
        self.client().close()

    def close(self, say: Callable[[str], None] = lambda _: None) -> None:
        for process in (*self.product, *self.servers):
            _signal_session(process, signal.SIGKILL)
        super().close(say)
        if self._database_session is not None:
            self._database_session.close()
        for proxy in self.proxies:
            proxy.close()

    def pace(self, times_real_time: float) -> None:
        """Speed at which encodes that start from now on read their source; 0: as fast as it goes."""
        self.ffmpeg.pace(times_real_time)

    def pace_second_segment(self, *, seconds: float = 60) -> None:
        """Let chunks publish their first segment at once, and take so long for their second one."""
        self.ffmpeg.pace(3 / seconds, burst_seconds=5)

    def heal(self) -> None:
        """Undo every fault, and start what is not there."""
        self.pace(0)
        for proxy in self.proxies:
            proxy.heal()
        for service in (*self.servers, *self.product):
            if service.running():
                _signal_session(service, signal.SIGCONT)
        self.start_missing()

    def start_missing(self) -> None:
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait_ready()
        for process in self.product:
            process.start()
        for process in self.product:
            process.wait_ready()

    # What clients do.

    def client(self) -> Client:
        """A client with the key that was made first: whatever is broken now, it was not then."""
        key = self.home.find_secret(API_KEY)
        return Client(self.api.url, key) if key else super().client()

    def upload(self, path: Path) -> str:
        with closing(self.client()) as client:
            return str(client.upload(path, lambda _: None)["id"])

    def transcode(self, video_id: str, **request: object) -> str:
        """Request a cheap transcode; return the job's id. It is held to the invariants when the test ends."""
        with closing(self.client()) as client:
            job: Json = client.transcode(video_id, {"preset": "ultrafast", **request})
        self.jobs.append(job["id"])
        return str(job["id"])

    def submit(self, path: Path, **request: object) -> str:
        return self.transcode(self.upload(path), **request)

    def inspected(self, path: Path) -> str:
        """Upload a video and wait until it was looked at."""
        video = self.upload(path)
        self.until(lambda: self.one("SELECT state FROM videos_video WHERE id = %s", video) == ("ready",), 300)
        return video

    def order(self, job_id: str, order: str) -> str:
        """Ask the API for `cancel`, `pause` or `resume`; the state of the job then, or the code of the problem."""
        with closing(self.client()) as client:
            path = f"{self.api.url}/api/v1/jobs/{job_id}/{order}"
            key = {"Authorization": f"Bearer {client.api_key}"}
            answer = httpx2.post(path, headers=key, timeout=120, trust_env=False)
        document = answer.json()
        return str(document["state"] if answer.is_success else document["code"])

    def manage(self, script: str) -> str:
        """Run Python in the product's own environment."""
        return daemons.run(self._python(script), environ=self.dispatcher.environ(), folder=REPOSITORY)

    def start_script(self, script: str) -> subprocess.Popen[bytes]:
        """Start Python in the product's own environment. Whoever calls ends it."""
        return subprocess.Popen(self._python(script), env=self.dispatcher.environ(), cwd=REPOSITORY)

    def _python(self, script: str) -> list[str]:
        setup = "import django, os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'transcoder_site.settings'\ndjango.setup()\n"
        return [self.dispatcher.argv()[0], "-c", setup + script]

    # What can be seen.

    def all(self, statement: str, *values: object) -> list[Row]:
        """Rows, past every proxy."""
        if self._database_session is not None:
            with suppress(psycopg.OperationalError):  # it has been restarted since
                return self._database_session.execute(statement, values).fetchall()
            self._database_session.close()
            self._database_session = None
        self._database_session = psycopg.connect(self.postgresql.administrator_url, autocommit=True, connect_timeout=3)
        return self._database_session.execute(statement, values).fetchall()

    def one(self, statement: str, *values: object) -> Row:
        (row,) = self.all(statement, *values)
        return row

    def store(self) -> ObjectStore:
        """The store, past the proxy."""
        return store_from(load(self._environ).storage)

    def state(self, job_id: str) -> str:
        return str(self.one("SELECT state FROM jobs_job WHERE id = %s", job_id)[0])

    def finished(self, *job_ids: str, seconds: float = 600) -> list[tuple[str, str]]:
        """State and error code of jobs, when all of them are over. Unavailable databases are waited for too."""
        job_ids_awaited = list(job_ids or self.jobs)
        found: list[Row] = []

        def over() -> bool:
            nonlocal found
            found = self.all(
                "SELECT id::text, state, error_code, phase FROM jobs_job WHERE id = ANY(%s)", job_ids_awaited
            )
            return len(found) == len(job_ids_awaited) and all(state in OVER for _, state, _, _ in found)

        self.until(over, seconds, lambda: f"jobs are not over: {[row for row in found if row[1] not in OVER]}")
        ends = {job: (state, code) for job, state, code, _ in found}
        return [ends[job] for job in job_ids_awaited]

    def completed(self, *job_ids: str, seconds: float = 600) -> None:
        ends = self.finished(*job_ids, seconds=seconds)
        details = self.all(
            "SELECT id::text, error_code, error_detail FROM jobs_job WHERE state = 'failed' AND id = ANY(%s)",
            list(job_ids),
        )
        assert set(ends) == {("completed", "")}, details

    def running(self, job_id: str, *, kind: str = "chunk") -> list[RunningStep]:
        found = self.all(
            "SELECT id::text, job_id::text, kind, attempt, worker_pid, units_done, units_total FROM jobs_step"
            " WHERE job_id = %s AND kind = %s AND state = 'running'",
            job_id,
            kind,
        )
        names = RunningStep.__dataclass_fields__
        return [RunningStep(**dict(zip(names, row, strict=True))) for row in found]

    def chunk_in_the_middle(self, job_id: str, *, seconds: float = 300) -> RunningStep:
        """A chunk that has published something and has more to do, with its ffmpeg at work."""
        found: list[RunningStep] = []

        def there() -> bool:
            found[:] = [
                step
                for step in self.running(job_id)
                if 0 < step.units_done < step.units_total and self.ffmpegs_of(step.pid)
            ]
            return bool(found)

        self.until(there, seconds, lambda: f"no chunk of job {job_id} was caught in the middle: {self.state(job_id)}")
        return found[0]

    def until(self, done: Callable[[], bool], seconds: float, otherwise: Callable[[], str] = lambda: "") -> None:
        """Ask again and again, through restarts of the database. Raises TimeoutError with what `otherwise` says."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(psycopg.OperationalError):
                if done():
                    return
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {seconds} s {otherwise()}")
            time.sleep(0.1)

    def step(self, step_id: str) -> tuple[str, int, int]:
        """State, attempt and failures."""
        state, attempt, failures = self.one("SELECT state, attempt, failures FROM jobs_step WHERE id = %s", step_id)
        return state, attempt, failures

    def log(self, service: Service) -> str:
        return service.log.read_text(encoding="utf-8", errors="replace")

    # Processes.

    def ffmpegs(self) -> list[int]:
        """Every ffmpeg that reads something of this stack, orphans included."""
        return [pid for pid, command in _commands() if _is_ffmpeg(command) and str(self.home.folder) in command]

    def ffmpegs_of(self, pid: int) -> list[int]:
        own = set(descendant_pids(pid))
        return [each for each in self.ffmpegs() if each in own]

    def pid(self, service: Service) -> int:
        identity = service.identity
        if identity is None:
            raise AssertionError(f"{service.name} was not started")
        return identity.pid

    def node_of(self, pid: int) -> Worker:
        """The node that a worker process belongs to."""
        return next(
            node for node in self.nodes if node.running() and pid in (self.pid(node), *children(self.pid(node)))
        )

    def kill(self, service: Service) -> None:
        """kill -9 of the main process, and of nothing else."""
        os.kill(self.pid(service), signal.SIGKILL)
        self.until(lambda: not service.running(), 60)

    @contextmanager
    def wrong_clocks(self, seconds: int) -> Iterator[None]:
        """Run two other nodes instead: one's clock is so much ahead, as far as Python can see, the other's behind."""
        for node in self.nodes:
            self.kill(node)
        skewed = [
            NodeAhead(self.home, self._skewed("one", seconds)),
            NodeBehind(self.home, self._skewed("two", -seconds)),
        ]
        try:
            for node in skewed:
                node.start()
            for node in skewed:
                node.wait_ready()
            yield
        finally:
            for node in skewed:
                _signal_session(node, signal.SIGKILL)
                node.close()

    def _skewed(self, name: str, seconds: int) -> Mapping[str, str]:
        folder = self.home.folder / "wrong-clock" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sitecustomize.py").write_text(_CLOCK % {"seconds": seconds})
        return {**self.node_environ(name), "PYTHONPATH": str(folder)}

    def session(self, service: Service) -> list[int]:
        """Every process of a service that did not leave its session."""
        return [self.pid(service), *_of_session(self.pid(service))]

    def freeze(self, service: Service) -> None:
        _signal_session(service, signal.SIGSTOP)

    def thaw(self, service: Service) -> None:
        _signal_session(service, signal.SIGCONT)


_CLOCK = """
import datetime, sys, time

real_time, real_datetime = time.time, datetime.datetime
offset = %(seconds)r


class SkewedType(type):
    def __instancecheck__(cls, value):
        return isinstance(value, real_datetime)


class Skewed(real_datetime, metaclass=SkewedType):
    @classmethod
    def now(cls, tz=None):
        # Every S3 store refuses requests that are signed with a wrong time; the machine's own clock signs.
        signs = sys._getframe(1).f_globals.get("__name__", "").startswith("botocore")
        return real_datetime.now(tz) + datetime.timedelta(seconds=0 if signs else offset)

    @classmethod
    def utcnow(cls):
        return real_datetime.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(seconds=offset)


time.time = lambda: real_time() + offset
datetime.datetime = Skewed
"""


def children(pid: int) -> list[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    return []


def alive(pid: int) -> bool:
    """Return True if a process runs; zombies do not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def _is_ffmpeg(command: str) -> bool:
    """Tell whether this is the command line of ffmpeg, or of the script in its place, and not of the jail around it."""
    program, _, rest = command.partition("\0")
    return "ffmpeg" in program or (program == "/bin/sh" and rest.partition("\0")[0].endswith("/bin/ffmpeg"))


def _commands() -> Iterator[tuple[int, str]]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                if (command := (process / "cmdline").read_text(errors="replace")) and alive(int(process.name)):
                    yield int(process.name), command


def _signal_session(service: Service, number: signal.Signals) -> None:
    """Signal a process and everything it started that did not leave its session, the main process first."""
    identity = service.identity
    if identity and service.running():  # its pid may be somebody else's now
        for pid in (identity.pid, *_of_session(identity.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _of_session(leader: int) -> Sequence[int]:
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != leader:
            with suppress(FileNotFoundError, ProcessLookupError):
                if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == leader:
                    found.append(int(process.name))
    return found
