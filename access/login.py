"""Logging in, as often as the rates allow."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm as ThemedForm

from access.rates import login_take


class PersonLogin(AuthenticationForm):
    """The form of everybody who has a password. A try too many does not get as far as the password."""

    def clean(self) -> dict[str, Any]:
        verdict = login_take(self.request, self.cleaned_data.get("username", "")) if self.request else None
        if verdict and not verdict.allowed:
            wait = f"Too many tries. The next one is looked at in {verdict.retry_after_seconds} s."
            raise ValidationError(wait, code="throttled")
        return super().clean()


class OperatorLogin(PersonLogin, ThemedForm):  # type: ignore[misc]
    """The admin's form, which lets only staff in."""
