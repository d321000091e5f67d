import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import psycopg
import pytest
from django.db import connection

from embedded import servers
from embedded.home import Home
from embedded.product import Api
from embedded.servers import PostgreSQL, Redis, SeaweedFS
from embedded.service import PortTaken
from execution import daemons
from videos.playback import wiring


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def own_postgresql(home: Home) -> Iterator[PostgreSQL]:
    server = PostgreSQL(home, durable=False)
    yield server
    server.close()


@pytest.fixture
def own_redis(home: Home) -> Iterator[Redis]:
    server = Redis(home)
    yield server
    server.close()


@pytest.mark.django_db
def test_django_uses_the_servers_of_this_run(postgresql: PostgreSQL) -> None:
    assert connection.settings_dict["PORT"] == str(postgresql.port)
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        assert cursor.fetchone() == ("UTF8",)


def test_postgresql_requires_the_password(postgresql: PostgreSQL) -> None:
    wrong = postgresql.url.replace(postgresql.home.secret("postgresql"), "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_the_role_of_the_product_owns_its_database_and_nothing_of_the_server(own_postgresql: PostgreSQL) -> None:
    own_postgresql.start()
    own_postgresql.wait_ready()
    owns_no_right_of_the_server(own_postgresql)
    with psycopg.connect(own_postgresql.url) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("SELECT pg_read_file('x')")


def test_the_role_of_an_older_installation_loses_the_rights_of_the_server(own_postgresql: PostgreSQL) -> None:
    home = own_postgresql.home
    today, password = servers.ADMINISTRATOR, own_postgresql._administrator_password
    servers.ADMINISTRATOR, own_postgresql._administrator_password = servers.USER, home.secret("postgresql")
    try:  # as it was: the product's role is the first one of the server
        own_postgresql.start()
        own_postgresql.wait_ready()
    finally:
        servers.ADMINISTRATOR, own_postgresql._administrator_password = today, password
    with psycopg.connect(own_postgresql.url) as session:
        assert session.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'vodmill'").fetchone() == (True,)
        session.execute("CREATE TABLE kept (n int)")
    own_postgresql.wait_ready()
    owns_no_right_of_the_server(own_postgresql)
    with psycopg.connect(own_postgresql.url) as session:
        session.execute("DROP TABLE kept")


def owns_no_right_of_the_server(server: PostgreSQL) -> None:
    rights = "rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
    with psycopg.connect(server.url, autocommit=True) as session:
        session.execute("CREATE TABLE own (n int)")
        found = session.execute(f"SELECT {rights} FROM pg_roles WHERE rolname = current_user").fetchone()  # noqa: S608 - names
        assert found == (False,) * 5
        for statement in ("COPY own FROM PROGRAM 'true'", "COPY own FROM '/etc/hostname'"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement)


def test_the_store_refuses_requests_that_bypass_s3(s3_server: SeaweedFS) -> None:
    store = wiring.store()
    store.prepare()
    store.put("videos/a/kept", bytes(100_000), "video/mp4")
    requests = [
        ("filer", "GET", "/buckets/vodmill/videos/a/kept", 404),
        ("filer", "PUT", "/buckets/vodmill/videos/a/kept", 404),
        ("filer", "DELETE", "/buckets/vodmill/videos/a/kept", 404),
        ("filer", "GET", "/", 404),
        ("master", "GET", "/dir/assign", 404),
        ("master", "GET", "/col/delete?collection=vodmill", 404),
        ("volume", "GET", "/1,0123456789", 401),
        ("volume", "DELETE", "/1,0123456789", 401),
        ("s3", "GET", "/vodmill/videos/a/kept", 403),
    ]
    for part, method, path, expected in requests:
        url = f"http://127.0.0.1:{s3_server.home.port(f'seaweedfs-{part}')}{path}"
        assert httpx2.request(method, url, trust_env=False).status_code == expected, (part, method, path)
    assert store.get("videos/a/kept") == bytes(100_000)


@pytest.mark.parametrize("name", ["postgresql", "redis", "s3_server"])
def test_a_running_server_is_not_started_again(name: str, request: pytest.FixtureRequest) -> None:
    server: PostgreSQL | Redis | SeaweedFS = request.getfixturevalue(name)
    assert server.start() is False
    assert server.ready()


def test_postgresql_starts_in_a_deep_folder_closed_to_its_user(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = PostgreSQL(Home(closed / ("x" * 120) / "home"), durable=False)  # a socket's path may have 107 bytes
    with closing(server):
        server.start()
        server.wait_ready()
        with psycopg.connect(server.url) as session:
            assert session.execute("SELECT current_database()").fetchone() == ("vodmill",)


def test_postgresql_survives_being_killed(own_postgresql: PostgreSQL) -> None:
    own_postgresql.start()
    own_postgresql.wait_ready()
    with psycopg.connect(own_postgresql.url) as session:
        session.execute("CREATE TABLE survivor (n int)")
    identity = own_postgresql.identity
    assert identity
    os.kill(identity.pid, signal.SIGKILL)
    while own_postgresql.running():
        time.sleep(0.01)
    own_postgresql.start()
    own_postgresql.wait_ready()
    with psycopg.connect(own_postgresql.url) as session:
        assert session.execute("SELECT count(*) FROM survivor").fetchone() == (0,)


def test_postgresql_starts_although_its_old_pid_is_reused(own_postgresql: PostgreSQL) -> None:
    own_postgresql.start()
    own_postgresql.wait_ready()
    own_postgresql.close()
    (own_postgresql.folder / "data" / "postmaster.pid").write_text(f"{os.getppid()}\n")
    own_postgresql.start()
    own_postgresql.wait_ready()


def test_an_incomplete_data_folder_is_replaced(own_postgresql: PostgreSQL) -> None:
    (own_postgresql.folder / "data.new" / "base").mkdir(parents=True)
    own_postgresql.start()
    own_postgresql.wait_ready()


def test_close_stops_the_server_and_frees_its_port(own_redis: Redis) -> None:
    own_redis.start()
    own_redis.wait_ready()
    identity = own_redis.identity
    assert identity
    assert own_redis.close() is True
    assert not daemons.alive(identity)
    assert own_redis.close() is False
    assert own_redis.start() is True


def test_a_port_taken_by_a_stranger_is_explained(own_redis: Redis) -> None:
    with socket.create_server(("127.0.0.1", own_redis.port)), pytest.raises(PortTaken) as caught:
        own_redis.start()
    assert f"port {own_redis.port}, which redis used before, is taken by process {os.getpid()} (" in str(caught.value)
    assert f"delete the port in {own_redis.home.folder / 'state.json'}" in str(caught.value)


def test_the_api_refuses_a_port_in_use(home: Home) -> None:
    api, before = Api(home, {}), home.port("api")
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} is taken by process {os.getpid()} "):
            api.set_port(port)
    assert Home(home.folder).port("api") == before
    api.set_port(port)
    assert Home(home.folder).port("api") == port


def test_ports_and_secrets_are_stored_with_mode_0600(home: Home) -> None:
    port, secret = home.port("redis"), home.secret("redis")
    again = Home(home.folder)
    assert (again.port("redis"), again.secret("redis")) == (port, secret)
    assert (home.folder / "state.json").stat().st_mode & 0o777 == 0o600


def test_homes_beside_each_other_do_not_pick_the_same_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Home(tmp_path / "one").port("redis")  # free, as long as nothing is started there
    monkeypatch.setattr("embedded.ports.random.sample", lambda candidates, _: [first, *candidates])
    assert Home(tmp_path / "two").port("redis") != first


def test_only_one_process_holds_the_lock_of_a_home(home: Home) -> None:
    with home.locked(), pytest.raises(BlockingIOError), Home(home.folder).locked():
        pass
