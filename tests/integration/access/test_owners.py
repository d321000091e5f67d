from __future__ import annotations

import pytest

from access.models import Owner
from access.services import default_owner


@pytest.mark.django_db
def test_there_is_one_default_owner() -> None:
    assert default_owner() == default_owner()
    assert Owner.objects.filter(name="default").count() == 1
