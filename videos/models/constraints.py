"""Conditions that several tables share."""

from enum import StrEnum

from django.db.models import Q


def one_of(field: str, values: type[StrEnum]) -> Q:
    """Return the condition that a column has one of the values of an enumeration."""
    return Q(**{f"{field}__in": [value.value for value in values]})
