"""The relay as a process: streams, refusals, and nothing left behind."""

from __future__ import annotations

import json
import random
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from urllib.parse import quote

import pytest
from django.db import connection
from prometheus_client.parser import text_string_to_metric_families

from execution.process import is_running
from relay.models import LiveSession, SessionState
from relay.records.services import session_request_end
from tests.live_media import Live, measured, shifted, stream_of, with_jump, with_losses, without_audio
from tests.live_sources import LiveServer, a_live_server
from tests.relay_process import SETTINGS, RelayProcess, Viewing, wait_until
from tests.rows import a_key

FILM = Live(seconds=3, audio="mp2")
BLOCK = 100 * 188

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def sources() -> Iterator[LiveServer]:
    film = stream_of(FILM)
    with a_live_server() as server:
        server.serve("film", film)
        server.serve("news", film, again=lambda n: shifted(film, n * FILM.seconds))
        yield server


@pytest.fixture(scope="module")
def relays(django_db_setup: None, redis: object) -> Iterator[list[RelayProcess]]:
    started: list[RelayProcess] = []
    yield started
    for each in started:
        each.close()


@pytest.fixture
def relay(
    relays: list[RelayProcess], transactional_db: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RelayProcess]:
    """One relay for all tests, unless one has ended it. It writes nothing more when the database is emptied."""
    if not relays or relays[-1].is_over():
        with closing(socket.create_server(("127.0.0.1", 0))) as unused:
            port = unused.getsockname()[1]
        scratch = tmp_path_factory.mktemp("relay")
        relays.append(RelayProcess(port, str(connection.settings_dict["NAME"]), scratch, SETTINGS))
        relays[-1].wait_ready()
    yield relays[-1]
    if not relays[-1].is_over():
        wait_until(lambda: not LiveSession.objects.filter(ended_at=None).exists())


def decoded(viewing: Viewing) -> None:
    """Check that a whole response has video and audio that decode, in step."""
    assert (viewing.status, viewing.header("Content-Type")) == (200, "video/mp2t")
    found = measured(viewing.response.read())
    viewing.close()
    assert found.sample_rate == 48_000
    assert found.offsets()
    assert all(abs(offset) < 0.02 for offset in found.offsets())


def test_a_transcode_is_h264_and_aac_with_its_encoder_named(relay: RelayProcess, sources: LiveServer) -> None:
    viewing = relay.open("/transcode", a_key(), source_url=sources.url("film"), profile="480p", video_bitrate="800k")
    assert viewing.header("X-Vodmill-Encoder") == "libx264"
    assert viewing.header("X-Vodmill-Fallback") == ""
    assert viewing.header("Cache-Control") == "no-store"
    decoded(viewing)
    wait_until(lambda: LiveSession.objects.filter(state=SessionState.ENDED).exists())
    session = LiveSession.objects.get()
    assert (session.end_code, session.encoder, session.profile) == ("source_ended", "libx264", "480p")
    assert session.bytes_in == len(stream_of(FILM))
    assert session.bytes_out > 0


def test_a_remux_is_the_video_with_aac(relay: RelayProcess, sources: LiveServer) -> None:
    viewing = relay.open("/remux", a_key(), source_url=sources.url("film"))
    assert "PyAV" in viewing.header("X-Vodmill-Encoder")
    decoded(viewing)


def test_a_body_is_a_source(relay: RelayProcess) -> None:
    decoded(relay.open("/transcode/stream", a_key(), method="POST", body=stream_of(FILM), profile="480p"))


def test_a_key_may_be_in_the_query_and_is_in_no_log(relay: RelayProcess, sources: LiveServer) -> None:
    key = a_key()
    url = sources.url("film", token="sesame")
    with closing(relay.open("/remux", "", source_url=url, key=key)) as viewing:
        assert viewing.status == 200
        assert viewing.read(BLOCK)
    wait_until(lambda: '"/remux"' in relay.log)
    assert key not in relay.log
    assert key.partition("_")[2] not in relay.log
    assert "sesame" not in relay.log


def test_head_does_not_touch_the_source(relay: RelayProcess, sources: LiveServer) -> None:
    key, before = a_key(), len(sources.requests)
    for path in ("/transcode", "/remux"):
        with closing(relay.open(path, key, method="HEAD", source_url=sources.url("film"))) as viewing:
            assert (viewing.status, viewing.header("Content-Type")) == (200, "video/mp2t")
    assert len(sources.requests) == before


def test_many_viewers_of_one_source_are_one_run(relay: RelayProcess, sources: LiveServer) -> None:
    key, before = a_key(), len(sources.requests)
    viewings: list[Viewing] = []

    def view() -> None:
        viewing = relay.open("/transcode", key, source_url=sources.url("news"), profile="480p")
        assert viewing.read(BLOCK)[:1] == b"G"
        viewings.append(viewing)

    threads = [threading.Thread(target=view) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(viewings) == 20
    assert len(sources.requests) == before + 1
    session = LiveSession.objects.get()
    wait_until(lambda: LiveSession.objects.get().viewers == 20)
    for viewing in viewings:
        viewing.close()
    wait_until(lambda: LiveSession.objects.get(id=session.id).end_code == "viewers_gone")


def test_nothing_is_left_of_a_viewer_who_is_gone(relay: RelayProcess, sources: LiveServer) -> None:
    key = a_key()

    def view(path: str) -> None:
        with closing(relay.open(path, key, source_url=sources.url("news"))) as viewing:
            assert viewing.read(BLOCK)

    for path in ("/transcode", "/remux"):  # what the first one leaves open stays
        view(path)
        wait_until(lambda: not sources.open)
    before = relay.held()
    for path in ("/transcode", "/remux", "/transcode"):
        view(path)
    wait_until(lambda: relay.held() == before and not sources.open)


def test_a_viewer_who_goes_before_the_first_byte_leaves_nothing(relay: RelayProcess, sources: LiveServer) -> None:
    key = a_key()
    with socket.create_connection(("127.0.0.1", relay.port)) as client:
        url = sources.url("film", fault="hang")
        client.sendall(f"GET /transcode?source_url={url}&key={key} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(lambda: sources.open)
    wait_until(lambda: not sources.open)
    wait_until(lambda: LiveSession.objects.get().end_code == "viewers_gone")


def test_a_session_ends_on_request(relay: RelayProcess, sources: LiveServer) -> None:
    with closing(relay.open("/remux", a_key(), source_url=sources.url("news"))) as viewing:
        assert viewing.read(BLOCK)
        assert session_request_end(session_id=LiveSession.objects.get().id)
        while viewing.read(BLOCK):
            pass
    wait_until(lambda: LiveSession.objects.get().end_code == "requested")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"fault": "html"}, 502, "source_not_media"),
        ({"fault": "empty"}, 502, "source_not_media"),
        ({"fault": "junk"}, 502, "source_not_media"),
        ({"fault": "endless-header"}, 502, "source_not_media"),
        ({"fault": "status", "status": 404}, 502, "source_rejected"),
        ({"fault": "end", "at": 0}, 502, None),
    ],
    ids=str,
)
def test_a_source_that_is_none_is_a_problem(
    relay: RelayProcess, sources: LiveServer, query: dict[str, str], status: int, code: str | None
) -> None:
    found = relay.answer("/transcode", a_key(), source_url=sources.url("film", **query)).problem()
    assert found == (status, code or found[1])


def test_an_address_that_must_not_be_reached_is_refused(relay: RelayProcess) -> None:
    found = relay.answer("/remux", a_key(), source_url="http://10.1.2.3/film.ts")
    assert found.problem() == (422, "source_refused")


def test_requests_that_are_none_are_problems(relay: RelayProcess, sources: LiveServer) -> None:
    key, url = a_key(), sources.url("film")
    assert relay.answer("/transcode").problem() == (401, "not_authenticated")
    assert relay.answer("/transcode", source_url=url, key="vod_no").problem() == (401, "invalid_key")
    assert relay.answer("/transcode", key).problem() == (422, "invalid")
    assert relay.answer("/transcode", key, source_url="file:///etc/passwd").problem() == (422, "invalid")
    assert relay.answer("/remux", key, source_url=url, profile="720p").problem() == (422, "invalid")
    assert relay.answer("/transcode", key, method="POST").problem() == (405, "method_not_allowed")
    assert relay.answer("/film", key).problem() == (404, "not_found")


def test_probes_and_metrics(relay: RelayProcess) -> None:
    assert relay.answer("/healthz").body == b"ok\n"
    ready = json.loads(relay.answer("/readyz").body)
    assert (ready["status"], set(ready["checks"])) == ("ok", {"database", "migrations", "redis"}), "it needs no store"
    document = json.loads(relay.answer("/health").body)
    assert (document["status"], document["vaapi_available"], document["hardware"]) == ("ok", False, "off")
    assert relay.answer("/metrics").problem() == (401, "not_authenticated")
    assert moved({}, scraped(relay)) >= {"http_requests_total GET readyz 200"}


def scraped(relay: RelayProcess) -> dict[str, float]:
    """Return the values of our metrics, by name and labels."""
    with closing(relay.connection()) as client:
        client.request("GET", "/metrics", headers={"Authorization": "Bearer scraper"})
        text = client.getresponse().read().decode()
    return {
        " ".join([sample.name.removeprefix("vodmill_"), *(value for _, value in sorted(sample.labels.items()))]): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "le" not in sample.labels
    }


def moved(before: Mapping[str, float], after: Mapping[str, float]) -> set[str]:
    return {name for name, value in after.items() if value > before.get(name, 0)}


def test_every_metric_moves(relay: RelayProcess, sources: LiveServer) -> None:
    key, before = a_key(), scraped(relay)
    film, radio = stream_of(FILM), stream_of(Live(seconds=2, video="", audio="mp2"))
    sources.serve("damaged", with_jump(without_audio(film, 0.5, 1.2), 2, 5))
    sources.serve("radio", radio)
    with closing(relay.open("/remux", key, source_url=sources.url("news"))) as viewing:
        assert viewing.read(BLOCK)
        wait_until(lambda: {"live_sessions_active remux", "live_viewers remux"} <= moved(before, scraped(relay)))
    for path, url in (
        ("/remux", sources.url("damaged", rate=0)),
        ("/transcode", sources.url("film", fault="reset", at=1.5, times=1)),
        ("/transcode", sources.url("radio")),
    ):
        with closing(relay.open(path, key, source_url=url)) as viewing:
            assert viewing.status == 200, viewing.response.read()
            viewing.response.read()
    refused = relay.answer("/remux", key, source_url=sources.url("nothing"))
    assert refused.problem() == (502, "source_rejected")
    expected = {
        "live_sessions_started_total transcode",
        "live_sessions_ended_total source_ended transcode ended",
        "live_sessions_ended_total source_rejected remux failed",
        "live_first_byte_seconds_count remux",
        "live_session_duration_seconds_count remux",
        "live_bytes_total in remux",
        "live_bytes_total out transcode",
        "live_reconnects_total transcode",
        "live_clock_restarts_total remux",
        "live_fallbacks_total transcode video_missing",
        "live_silence_seconds_total remux",
        "http_requests_total GET transcode 200",
        "http_request_duration_seconds_count GET remux",
        "problems_total source_rejected 502",
    }
    wait_until(lambda: expected <= moved(before, scraped(relay)))


@pytest.mark.parametrize("engine", ["transcode", "remux"])
def test_errors_of_decoders_silence_and_jumps_are_counted(
    relay: RelayProcess, sources: LiveServer, engine: str
) -> None:
    key, before = a_key(), scraped(relay)
    film = stream_of(Live(seconds=4, video="mpeg2"))
    sources.serve("lossy", with_jump(with_losses(without_audio(film, 1, 1.5), 0.03), 2, 3600), seconds=1)
    with closing(relay.open(f"/{engine}", key, source_url=sources.url("lossy"))) as viewing:
        assert viewing.status == 200, viewing.response.read()
        viewing.response.read()
    names = ("decode_errors_total", "silence_seconds_total", "clock_restarts_total")
    wait_until(lambda: {f"live_{name} {engine}" for name in names} <= moved(before, scraped(relay)))
    wait_until(lambda: LiveSession.objects.get().ended_at)
    session = LiveSession.objects.get()
    assert session.decode_errors > 0
    assert session.silence_ms > 400
    assert session.restarts == 1


def test_audio_that_ends_is_drift_of_a_transcode(relay: RelayProcess, sources: LiveServer) -> None:
    sources.serve("silent", without_audio(stream_of(Live(seconds=60)), 8, 60))
    with closing(relay.open("/transcode", a_key(), source_url=sources.url("silent", rate=4))) as viewing:
        assert viewing.status == 200, viewing.response.read()
        while scraped(relay)["live_drift_seconds transcode"] < 0.5:
            assert viewing.response.read1(BLOCK)


def test_a_viewer_who_falls_behind_is_dropped_and_counted(relay: RelayProcess, sources: LiveServer) -> None:
    film = stream_of(Live(seconds=2, size="640x360", noise=50))
    sources.serve("noise", film, again=lambda n: shifted(film, n * 2))
    key, url, before = a_key(), sources.url("noise", rate=0), scraped(relay)
    with (
        closing(relay.open("/remux", key, source_url=url)) as idle,
        closing(relay.open("/remux", key, source_url=url)) as reading,
    ):
        assert (idle.status, reading.status) == (200, 200)
        while "live_viewers_dropped_total remux" not in moved(before, scraped(relay)):
            assert reading.read(1 << 20)
    wait_until(lambda: LiveSession.objects.get().dropped_viewers == 1)


def test_pages_of_our_origins_may_read_streams(relay: RelayProcess) -> None:
    with closing(relay.connection()) as client:
        client.request("GET", "/remux", headers={"Origin": "https://app.example.org"})
        response = client.getresponse()
        assert response.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
        response.read()


def come_and_go(relay: RelayProcess, sources: LiveServer, key: str, seed: int) -> None:
    """Have viewers connect and leave at random, of good and bad sources, and wait until no source is read."""
    chance = random.Random(seed)  # noqa: S311 - which viewer does what

    def view(path: str, url: str, seconds: float) -> None:
        with socket.create_connection(("127.0.0.1", relay.port)) as client, suppress(TimeoutError):
            client.settimeout(seconds)
            head = f"GET {path}?source_url={quote(url)} HTTP/1.1\r\nHost: a\r\nX-API-Key: {key}\r\n\r\n"
            client.sendall(head.encode())
            while client.recv(BLOCK):
                pass

    threads = []
    for number in range(24):
        query = chance.choice(({}, {"fault": "reset", "at": 1}, {"fault": "hang"}, {"fault": "html"}))
        path, url = chance.choice(("/transcode", "/remux")), sources.url("news", viewer=number % 3, **query)
        threads.append(threading.Thread(target=view, args=(path, url, chance.uniform(0.05, 1))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: not sources.open)


def test_viewers_who_come_and_go_leave_nothing(relay: RelayProcess, sources: LiveServer) -> None:
    key = a_key()
    come_and_go(relay, sources, key, 1)
    before = relay.held()  # with all connections to the database that it may have
    come_and_go(relay, sources, key, 2)
    wait_until(lambda: relay.held().children <= before.children)
    wait_until(lambda: relay.held().files <= before.files)


def test_a_killed_relay_leaves_no_process(relay: RelayProcess, sources: LiveServer) -> None:
    key = a_key()
    viewings = [relay.open(path, key, source_url=sources.url("news")) for path in ("/transcode", "/remux")]
    assert all(viewing.read(BLOCK) for viewing in viewings)
    processes = relay.processes()
    assert len(processes) >= 2
    relay.kill()
    for viewing in viewings:
        viewing.close()
    wait_until(lambda: not any(is_running(pid) for pid in processes))


def test_a_relay_that_ends_refuses_streams_and_lets_others_end(relay: RelayProcess, sources: LiveServer) -> None:
    key = a_key()
    viewing = relay.open("/remux", key, source_url=sources.url("film"))
    relay.terminate()
    wait_until(lambda: relay.answer("/readyz").status == 503)
    assert relay.answer("/remux", key, source_url=sources.url("news")).problem() == (503, "relay_full")
    decoded(viewing)
    wait_until(relay.is_over)
    assert LiveSession.objects.get(state=SessionState.ENDED).end_code == "source_ended"
