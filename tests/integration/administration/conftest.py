from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture
def operator(db: None) -> Client:
    """Somebody who may see and order everything, in a browser."""
    browser = Client()
    browser.force_login(User.objects.create_superuser("operator"))
    return browser
