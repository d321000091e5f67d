"""Downloads from servers that are somewhere else than they say, slow, broken or malicious."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from outbound.addresses import Reach, networks_read
from outbound.errors import (
    REFUSED,
    DownloadChanged,
    DownloadEncoded,
    DownloadFailed,
    DownloadMissing,
    DownloadRefused,
)
from outbound.fetching import MAX_REDIRECTS, Downloader, Part
from outbound.lookups import Lookups
from tests.file_server import FileServer, a_file_server
from tests.receiver import OUR_HOSTS, Receiver, a_receiver

LOOPBACK = Reach(networks_read(["127.0.0.0/8"]))
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def files() -> Iterator[FileServer]:
    with a_file_server(CONTENT) as files:
        yield files


@pytest.fixture
def canary() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


def a_downloader(reach: Reach = LOOPBACK, *, idle_seconds: float = 600) -> Downloader:
    return Downloader(reach, user_agent="vodmill/test", idle_seconds=idle_seconds)


def fetched(url: str, downloader: Downloader | None = None, *, seconds: float = 600, **named: Any) -> bytes:  # noqa: ANN401 - arguments of `open`
    with (downloader or a_downloader()).open(url, ends_at=time.monotonic() + seconds, **named) as download:
        return b"".join(download.blocks())


def test_a_file_is_requested_without_anything_of_ours(files: FileServer) -> None:
    with a_downloader().open(files.url("/file?token=1"), ends_at=time.monotonic() + 600) as download:
        assert b"".join(download.blocks()) == CONTENT
    assert (download.size, download.start, download.validator, download.resumable) == (len(CONTENT), 0, '"1"', True)
    ((path, headers),) = files.requests
    assert path == "/file?token=1"
    assert headers == {
        "host": f"127.0.0.1:{files.port}",
        "user-agent": "vodmill/test",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }


def test_the_rest_of_a_file_is_that_of_the_same_file(files: FileServer) -> None:
    assert fetched(files.url(), part=Part(1000, validator='"1"')) == CONTENT[1000:]
    assert files.requests[0][1]["if-range"] == '"1"'
    files.etag = '"2"'
    with pytest.raises(DownloadChanged):
        fetched(files.url(), part=Part(1000, validator='"1"'))
    files.etag, files.ranges = '"1"', False
    assert fetched(files.url(), part=Part(1000, validator='"1"')) == CONTENT  # `start` of the download says so


def test_weak_tags_identify_nothing_and_times_do(files: FileServer) -> None:
    files.etag, files.modified = 'W/"1"', "Tue, 01 Sep 2026 10:00:00 GMT"
    with a_downloader().open(files.url(), ends_at=time.monotonic() + 600) as download:
        assert download.validator == files.modified
    files.modified = ""
    with a_downloader().open(files.url(), ends_at=time.monotonic() + 600) as download:
        assert not download.resumable


def test_a_tag_that_cannot_be_sent_back_identifies_nothing(files: FileServer) -> None:
    files.etag = '"\u00e4"'
    with a_downloader().open(files.url(), ends_at=time.monotonic() + 600) as download:
        assert (download.validator, download.resumable) == ("", False)


def test_redirects_are_followed_up_to_a_number(files: FileServer) -> None:
    assert fetched(files.url(f"/redirects/{MAX_REDIRECTS - 1}")) == CONTENT
    with pytest.raises(DownloadRefused, match=REFUSED):
        fetched(files.url("/redirects/10"))


@pytest.mark.parametrize("path", ["/metadata", "/other-scheme/ftp", "/other-scheme/file", "/other-scheme/https"])
def test_redirects_lead_nowhere_that_the_url_itself_may_not_lead(files: FileServer, path: str) -> None:
    expected = DownloadFailed if path.endswith("https") else DownloadRefused  # it speaks no TLS, but may be reached
    with pytest.raises(expected):
        fetched(files.url(path))
    assert len(files.requests) == 1


@pytest.mark.parametrize("scheme", ["https", "http", "ftp", "file"])
@pytest.mark.parametrize("host", OUR_HOSTS)
def test_our_own_network_is_never_reached(canary: Receiver, scheme: str, host: str) -> None:
    with pytest.raises(DownloadRefused, match=REFUSED):
        fetched(f"{scheme}://{host}:{canary.port}/status/200", a_downloader(Reach()))
    assert canary.connections == 0


def test_a_name_that_changes_its_mind_is_refused(canary: Receiver) -> None:
    answers = iter(["93.184.216.34", "127.0.0.1", "127.0.0.1"])

    def getaddrinfo(_host: str, port: int, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    reach = Reach(lookups=Lookups(getaddrinfo=getaddrinfo))
    url = f"https://rebinding.example:{canary.port}/status/200"
    assert not reach.refuses(url, seconds=600)
    with pytest.raises(DownloadRefused, match=REFUSED):
        fetched(url, a_downloader(reach))
    assert canary.connections == 0


def test_what_is_compressed_is_not_accepted(files: FileServer) -> None:
    with pytest.raises(DownloadEncoded, match="gzip"):
        fetched(files.url("/gzip"))


@pytest.mark.parametrize(
    ("status", "error"),
    [(204, DownloadMissing), (304, DownloadMissing), (403, DownloadMissing), (404, DownloadMissing),
     (408, DownloadFailed), (429, DownloadFailed), (500, DownloadFailed), (503, DownloadFailed)],
)  # fmt: skip
def test_answers_that_another_try_may_change_are_distinguished(
    files: FileServer, status: int, error: type[Exception]
) -> None:
    with pytest.raises(error, match=f"the server answered {status}"):
        fetched(files.url(f"/status/{status}"))


def test_a_connection_that_is_cut_is_an_error(files: FileServer) -> None:
    files.cuts = [100]
    with pytest.raises(DownloadFailed):
        fetched(files.url())
    with pytest.raises(DownloadFailed):
        fetched("http://127.0.0.1:9/")


def test_a_server_that_drips_uses_up_its_idle_time(files: FileServer) -> None:
    with pytest.raises(DownloadFailed, match="too slowly"):
        fetched(files.url("/drips"), a_downloader(idle_seconds=0.5))


def test_a_server_that_says_nothing_uses_up_its_time_in_all(files: FileServer) -> None:
    files.pauses_after = 10
    with pytest.raises(DownloadFailed, match="too slowly"):
        fetched(files.url(), seconds=0.5)


def test_a_wait_can_be_ended(files: FileServer) -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    files.pauses_after = 10
    with pytest.raises(Stop):
        fetched(files.url(), on_wait=stop)
