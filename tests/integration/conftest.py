from __future__ import annotations

import pytest
from django.test import Client

from tests.rows import a_key


@pytest.fixture
def client(db: None) -> Client:
    """Django's test client with a key of the default owner."""
    return Client(headers={"Authorization": f"Bearer {a_key()}"})
