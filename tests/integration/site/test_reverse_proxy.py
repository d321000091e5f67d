"""The site behind nginx, as docs/reverse-proxies.md configures it: TLS, another port, another Host, a path."""

from __future__ import annotations

import json
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx2
import pytest
from django.contrib.auth.models import User
from django.db import connection

from embedded.home import Home
from embedded.servers import Redis, SeaweedFS
from execution.daemons import poll_until
from storage.protocol import ObjectStore
from tests.api_process import ApiProcess
from tests.integration.videos.conftest import store
from tests.nginx import Nginx
from tests.rows import a_job, a_key, a_video
from tests.servers import locked_home
from videos.models import Video
from videos.services import generation_mark_playable

__all__ = ["store"]

PASSWORD = "correct horse battery staple"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
LARGE = 64 * 1024 * 1024
LOGINS = 5

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with locked_home(f"{os.getpid()}-proxy") as home:
        yield home


@pytest.fixture(scope="module")
def nginx(home: Home) -> Iterator[Nginx]:
    nginx = Nginx(home, tls_api_port=home.port("tls-api"), path_api_port=home.port("path-api"))
    try:
        nginx.start()
        nginx.wait_ready()
        yield nginx
    finally:
        nginx.close()


@pytest.fixture(scope="module")
def apis(  # noqa: PLR0917 - fixtures
    home: Home,
    nginx: Nginx,
    redis: Redis,
    s3_server: SeaweedFS,
    django_db_setup: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ApiProcess, ApiProcess]]:
    """The API behind TLS, and the one below a path. Both trust nginx."""
    common = {
        "TRANSCODER_TRUSTED_PROXIES": "127.0.0.1",
        "TRANSCODER_CACHE_URL": redis.cache_url,
        "TRANSCODER_RATE_LOGIN_PER_MINUTE": str(LOGINS),
        "TRANSCODER_ALLOWED_HOSTS": "127.0.0.1",
        "TRANSCODER_PLAYBACK_DELIVERY": "proxy",
    }
    tls = {"TRANSCODER_HTTPS": "true", "TRANSCODER_PUBLIC_URL": f"https://localhost:{nginx.tls_port}"}
    path = {"TRANSCODER_PUBLIC_URL": f"http://localhost:{nginx.path_port}/vod"}
    database, scratch = str(connection.settings_dict["NAME"]), tmp_path_factory.mktemp("apis")
    with ExitStack() as stack:
        found = []
        for port, settings in ((home.port("tls-api"), tls), (home.port("path-api"), path)):
            found.append(ApiProcess(port, database, scratch, common | settings))
            stack.callback(found[-1].close)
        for each in found:
            each.wait_ready()
        yield found[0], found[1]


@pytest.fixture
def tls(apis: tuple[ApiProcess, ApiProcess], nginx: Nginx, transactional_db: None) -> Iterator[httpx2.Client]:
    """A client of the first server."""
    with client_from("127.0.0.2", nginx) as client:
        yield client


def client_from(address: str, nginx: Nginx) -> httpx2.Client:
    """Build a client of the first server with an address that is not that of nginx."""
    trusted = ssl.create_default_context(cafile=str(nginx.certificate))
    transport = httpx2.HTTPTransport(verify=trusted, local_address=address)
    url = f"https://localhost:{nginx.tls_port}"
    return httpx2.Client(base_url=url, transport=transport, trust_env=False, timeout=120)


@pytest.fixture(params=["cut", "whole"])
def path(
    request: pytest.FixtureRequest, apis: tuple[ApiProcess, ApiProcess], nginx: Nginx, transactional_db: None
) -> Iterator[httpx2.Client]:
    """A client of the second server, which cuts the path off or passes it on."""
    port = nginx.path_port if request.param == "cut" else nginx.whole_path_port
    with httpx2.Client(base_url=f"http://localhost:{port}", trust_env=False, timeout=120) as client:
        yield client


def with_key() -> dict[str, str]:
    return {"X-API-Key": a_key()}


def test_urls_are_those_of_the_proxy(tls: httpx2.Client) -> None:
    videos, key = [a_video() for _ in range(2)], with_key()
    page = tls.get("/api/v1/videos?limit=1", headers=key).json()
    assert page["next"].startswith(f"{tls.base_url}/api/v1/videos?cursor=")
    assert page["results"][0]["original_url"] == f"{tls.base_url}/api/v1/videos/{videos[1].id}/original"
    assert tls.get(page["next"], headers=key).json()["results"][0]["id"] == str(videos[0].id)
    schema = tls.get("/api/schema?format=json").json()
    assert schema["servers"][0]["url"] == str(tls.base_url).rstrip("/")


def test_plain_http_is_redirected_to_the_public_url(tls: httpx2.Client, apis: tuple[ApiProcess, ApiProcess]) -> None:
    response = httpx2.get(f"http://127.0.0.1:{apis[0].port}/api/v1/videos?limit=1", trust_env=False)
    assert (response.status_code, response.headers["location"]) == (301, f"{tls.base_url}/api/v1/videos?limit=1")


def test_a_forwarded_scheme_is_believed_from_nginx_only(
    tls: httpx2.Client, apis: tuple[ApiProcess, ApiProcess]
) -> None:
    forged = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1", "Forwarded": "proto=https"}
    with httpx2.Client(transport=httpx2.HTTPTransport(local_address="127.0.0.2"), trust_env=False) as direct:
        url = f"http://127.0.0.1:{apis[0].port}/api/v1/videos"
        assert direct.get(url, headers=with_key() | forged).status_code == 301
    assert tls.get("/api/v1/videos", headers=with_key() | {"X-Forwarded-Proto": "http"}).status_code == 200


def log_in(client: httpx2.Client, page: str, *, password: str = PASSWORD, **headers: str) -> httpx2.Response:
    """Send a login form as a browser does."""
    form = client.get(page, headers=BROWSER | headers)
    assert form.status_code == 200, form.text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
    assert token
    fields = {"username": "ada", "password": password, "csrfmiddlewaretoken": token[1]}
    sent = {"Origin": str(client.base_url).rstrip("/"), "Referer": f"{client.base_url}{page}"}
    return client.post(page, data=fields, headers=BROWSER | sent | headers)


@pytest.mark.parametrize("page", ["/api/login", "/admin/login/"])
def test_people_log_in_by_https(tls: httpx2.Client, page: str) -> None:
    User.objects.create_user("ada", password=PASSWORD, is_staff=True)
    response = log_in(tls, page)
    assert response.status_code == 302, response.text
    cookies = response.headers.get_list("set-cookie")
    assert any(cookie.startswith("sessionid=") and "Secure" in cookie for cookie in cookies)


def test_a_form_of_another_site_is_answered_with_a_page(tls: httpx2.Client) -> None:
    for page in ("/api/login", "/admin/login/"):
        response = log_in(tls, page, Origin="https://evil.example")
        assert (response.status_code, response.headers["content-type"]) == (403, "text/html; charset=utf-8")
        assert "The CSRF check failed" in response.text


def test_logins_are_limited_by_the_address_that_nginx_saw(tls: httpx2.Client, nginx: Nginx) -> None:
    """A client's own text in the header stands before that address."""
    with client_from("127.0.0.3", nginx) as client:
        headers = ({"X-Forwarded-For": f"192.0.2.{number}"} for number in range(100))
        statuses = [log_in(client, "/api/login", password="wrong", **next(headers)).status_code for _ in range(LOGINS)]
        assert statuses == [200] * LOGINS
        assert 429 in (log_in(client, "/api/login", password="wrong", **each).status_code for each in headers)
    assert log_in(tls, "/api/login", password="wrong").status_code == 200


def test_a_large_upload_is_not_stored_by_the_proxy(tls: httpx2.Client, nginx: Nginx, store: ObjectStore) -> None:
    data = bytes.fromhex("0000001c") + b"ftypisom" + bytes(LARGE)
    response = tls.post("/api/v1/videos/upload", files={"video": ("a.mp4", data)}, headers=with_key())
    assert response.status_code == 201, response.text
    assert response.json()["original_url"].startswith(str(tls.base_url))
    assert Video.objects.get().size_bytes == len(data)
    assert "buffered to a temporary file" not in nginx.errors
    store.delete_prefix("videos/")


def test_events_arrive_while_the_stream_is_open(tls: httpx2.Client) -> None:
    key = with_key()
    with tls.stream("GET", "/api/v1/events", headers=key) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")
        job = a_job()
        assert tls.post(f"/api/v1/jobs/{job.id}/cancel", headers=key).status_code == 200
        received = (json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: "))
        assert next(event for event in received if event["type"] == "job.cancelled")["data"]["job_id"] == str(job.id)


def test_a_request_has_one_id_in_the_log_of_proxy_and_api(
    tls: httpx2.Client, apis: tuple[ApiProcess, ApiProcess]
) -> None:
    response = tls.get("/api/v1/nothing", headers=with_key())
    request_id = response.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", request_id)
    assert response.json()["request_id"] == request_id

    def statuses() -> list[int]:
        lines = [line for line in map(json.loads, apis[0].log.splitlines()) if line.get("request_id") == request_id]
        return [line["status"] for line in lines if line.get("event") == "http_request"]

    assert poll_until(lambda: bool(statuses()), 60)  # the line is written when the response has gone
    assert statuses() == [404]


def test_below_a_path_every_url_has_it(path: httpx2.Client, nginx: Nginx) -> None:
    public = f"http://localhost:{nginx.path_port}/vod"
    videos, key = [a_video() for _ in range(2)], with_key()
    page = path.get("/vod/api/v1/videos?limit=1", headers=key).json()
    assert page["next"].startswith(f"{public}/api/v1/videos?cursor=")
    assert page["results"][0]["original_url"] == f"{public}/api/v1/videos/{videos[1].id}/original"
    assert page["results"][0]["links"]["self"] == f"/vod/api/v1/videos/{videos[1].id}"
    created = path.post("/vod/api/v1/keys", json={"name": "x", "scopes": ["jobs:read"]}, headers=key)
    assert created.headers["location"].startswith("/vod/api/v1/keys/")
    assert path.get(created.headers["location"], headers=key).status_code == 200
    problem = path.get("/vod/api/v1/nothing", headers=key)
    assert (problem.status_code, problem.json()["instance"]) == (404, "/vod/api/v1/nothing")
    assert path.get("/vod/api/schema?format=json").json()["servers"][0]["url"] == public


def test_below_a_path_videos_are_uploaded_and_played(path: httpx2.Client, store: ObjectStore) -> None:
    data = bytes.fromhex("0000001c") + b"ftypisom" + bytes(100)
    key = with_key()
    response = path.post("/vod/api/v1/videos/upload", files={"video": ("a.mp4", data)}, headers=key)
    assert response.status_code == 201, response.text
    assert path.get(response.headers["location"], headers=key).status_code == 200
    assert path.get(f"{response.headers['location']}/original", headers=key).content == data
    generation = a_job().generation
    assert generation is not None
    generation_mark_playable(generation=generation)
    shown = path.get(f"/vod/api/v1/videos/{generation.video_id}/playback", headers=key).json()
    url, page = shown["hls_url"], path.get(urlsplit(shown["watch_url"]).path)
    assert urlsplit(url).path.startswith("/vod/play/")
    assert (page.status_code, f'data-hls="{urlsplit(url).path}"' in page.text) == (200, True)
    urls = re.findall(r'(?:href|src|data-state)="([^"]*)"', page.text)
    assert {path.get(each).status_code for each in urls} == {200}
    playlist = path.get(urlsplit(url).path)
    assert (playlist.status_code, playlist.text.splitlines()[0]) == (200, "#EXTM3U")
    with path.stream("GET", "/vod/api/v1/events", headers=key) as stream:
        assert next(stream.iter_lines()).startswith("retry:")


def test_below_a_path_pages_and_their_files_are_found(path: httpx2.Client, nginx: Nginx) -> None:
    User.objects.create_user("ada", password=PASSWORD, is_staff=True, is_superuser=True)
    assert path.get("/vod/", headers=BROWSER).headers["location"] == "/vod/api/login?next=/vod/"
    assert path.get("/vod/api/", headers=BROWSER).headers["location"] == "/vod/api/login?next=/vod/api/"
    response = log_in(path, "/vod/admin/login/", Origin=f"http://localhost:{nginx.path_port}")
    assert response.status_code == 302, response.text
    assert all("Path=/vod/" in cookie for cookie in response.headers.get_list("set-cookie"))
    for page in ("/vod/api/", "/vod/admin/", "/vod/api/login", "/vod/admin/jobs/job/"):
        shown = path.get(page, headers=BROWSER)
        assert shown.status_code == 200, page
        found = re.findall(r'(?:href|src|action)="(/[^"#]*)"', shown.text)
        assert found
        assert [url for url in found if not url.startswith("/vod/")] == []
        for url in {url for url in found if "/static/" in url}:
            assert path.get(url).status_code == 200, url


def test_probes_need_no_path(apis: tuple[ApiProcess, ApiProcess], transactional_db: None) -> None:
    for url in ("/healthz", "/readyz", "/vod/healthz", "/vod/readyz"):
        response = httpx2.get(f"http://127.0.0.1:{apis[1].port}{url}", trust_env=False)
        assert response.status_code == 200, url
    assert not [line for line in apis[1].log.splitlines() if "readyz" in line]
    for url in ("/vodka/api/v1/videos", "/vod", "/vod/vod/api/v1/videos"):
        response = httpx2.get(f"http://127.0.0.1:{apis[1].port}{url}", headers=with_key(), trust_env=False)
        assert response.status_code == (302 if url == "/vod" else 404), url
