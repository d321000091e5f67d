from unittest.mock import Mock

import pytest
from django.test import RequestFactory

from storage.protocol import ObjectStore
from videos.playback.delivery import Delivery


def answer(cache: str, *, redirects: bool, **headers: str) -> tuple[int, str]:
    store = Mock(spec=ObjectStore)
    store.url.return_value = "https://store.example/signed"
    store.head.return_value.size = 10
    store.open.return_value = iter(())
    delivery = Delivery(store=store, redirects=redirects, presign_seconds=600)
    response = delivery.answer(RequestFactory(headers=headers).get("/"), "k", content_type="x/y", cache=cache)
    return response.status_code, response.headers["Cache-Control"]


@pytest.mark.parametrize("cache", ["private", "no-store", "private, max-age=60"])
def test_a_presigned_url_is_as_private_as_its_object(cache: str) -> None:
    """Otherwise a shared cache would deliver it to other people."""
    assert answer(cache, redirects=True) == (302, "private, max-age=300")


def test_what_players_share_is_public() -> None:
    assert answer("public, max-age=60", redirects=True) == (302, "public, max-age=300")


def test_a_range_of_thousands_of_digits_is_none() -> None:
    assert answer("private", redirects=False, Range=f"bytes={'9' * 5000}-") == (200, "private")
    assert answer("private", redirects=False, Range=f"bytes=0-{'9' * 19}") == (200, "private")
