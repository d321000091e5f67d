"""URLs are shown without anything that opens them."""

from __future__ import annotations

import pytest

from outbound.urls import shown_url, url_host


@pytest.mark.parametrize(
    ("url", "host", "shown"),
    [
        ("http://box.example:8001/1:0:19:283D:0:0:0:", "box.example:8001", "http://box.example:8001/1:0:19:283D:0:0:0:"),
        ("http://ann:secret@box.example/a.ts", "box.example", "http://box.example/a.ts"),
        ("https://box.example/live/ann/secret/1.ts?token=secret#secret", "box.example", "https://box.example/…/1.ts"),
        ("HTTP://BOX.example", "box.example", "http://box.example/"),
        ("http://[2001:db8::1]:80/a", "[2001:db8::1]:80", "http://[2001:db8::1]:80/a"),
        (f"http://box.example/{'a' * 5000}", "box.example", f"http://box.example/{'a' * 60}…"),
        ("http://box.example:port/a", "", ""),
        ("http://[::1/a", "", ""),
        ("/etc/passwd", "", ""),
        ("", "", ""),
    ],
)  # fmt: skip
def test_host_and_file_of_a_url_are_shown(url: str, host: str, shown: str) -> None:
    assert (url_host(url), shown_url(url)) == (host, shown)
