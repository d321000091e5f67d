from __future__ import annotations

import pytest

from access.models import Owner
from access.services import default_owner


@pytest.mark.django_db
def test_everything_belongs_to_one_owner_until_somebody_has_to_log_in() -> None:
    assert default_owner() == default_owner()
    assert Owner.objects.filter(name="default").count() == 1
