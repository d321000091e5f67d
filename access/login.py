"""Login forms with rate limits."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm as ThemedForm

from access.rates import check_login_rate


class PersonLogin(AuthenticationForm):
    """Login form. An attempt above the rate limit is refused before the password is checked."""

    def clean(self) -> dict[str, Any]:
        decision = check_login_rate(self.request, self.cleaned_data.get("username", "")) if self.request else None
        if decision and not decision.allowed:
            wait = f"Too many attempts. The next one is accepted in {decision.retry_after_seconds} s."
            raise ValidationError(wait, code="throttled")
        return super().clean()


class OperatorLogin(PersonLogin, ThemedForm):  # type: ignore[misc]
    """Login form of the admin, for staff only."""
