from unittest.mock import Mock

import pytest
from django.http import HttpResponseBase
from django.test import RequestFactory

from storage.protocol import ObjectStore
from videos.playback.delivery import Delivery


def answer(cache: str, *, redirects: bool, public_base: str = "", **headers: str) -> HttpResponseBase:
    store = Mock(spec=ObjectStore)
    store.url.return_value = "https://store.example/signed"
    store.head.return_value.size, store.head.return_value.etag = 10, "e"
    store.open.return_value = iter(())
    delivery = Delivery(store=store, redirects=redirects, presign_seconds=600, public_base=public_base)
    return delivery.answer(RequestFactory(headers=headers).get("/"), "videos/ä b", content_type="x/y", cache=cache)


def cached(response: HttpResponseBase) -> tuple[int, str]:
    return response.status_code, response.headers["Cache-Control"]


@pytest.mark.parametrize("cache", ["private", "no-store", "private, max-age=60"])
def test_a_presigned_url_is_as_private_as_its_object(cache: str) -> None:
    """Otherwise a shared cache would deliver it to other people."""
    assert cached(answer(cache, redirects=True)) == (302, "private, max-age=300")


def test_what_players_share_is_public() -> None:
    assert cached(answer("public, max-age=60", redirects=True)) == (302, "public, max-age=300")


def test_what_players_share_is_at_the_public_base_and_nothing_else() -> None:
    """Sources are private, and their keys can be guessed."""
    response = answer("public, max-age=60", redirects=True, public_base="https://cdn.example/media")
    assert cached(response) == (302, "public, max-age=600")
    assert response.headers["Location"] == "https://cdn.example/media/videos/%C3%A4%20b"
    response = answer("private, max-age=60", redirects=True, public_base="https://cdn.example/media")
    assert response.headers["Location"] == "https://store.example/signed"


def test_a_range_of_thousands_of_digits_is_none() -> None:
    assert answer("private", redirects=False, Range=f"bytes={'9' * 5000}-").status_code == 200
    response = answer("private", redirects=False, Range=f"bytes=0-{'9' * 19}")
    assert (response.status_code, response.headers["Content-Range"]) == (206, "bytes 0-9/10")
