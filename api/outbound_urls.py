"""URLs of servers of other people, in requests."""

from collections.abc import Callable
from typing import Any

from rest_framework import serializers

from api.database import release_connection
from outbound.addresses import Reach
from outbound.urls import url_problem

_LOOKUP_SECONDS = 5.0
"""A name server that takes longer is left for when something is sent."""


class OutboundUrl(serializers.CharField):
    """An absolute HTTPS address without credentials. `host_check` says whether its host may be reached."""

    def __init__(self, *, reach: Callable[[], Reach], **options: Any) -> None:  # noqa: ANN401 - those of CharField
        super().__init__(**options)
        self._reach = reach

    def to_internal_value(self, data: str) -> str:
        text = super().to_internal_value(data)
        if problem := url_problem(text, schemes=self._reach().schemes):
            raise serializers.ValidationError(problem)
        return text


def host_check(url: str, reach: Reach) -> None:
    """Raise ValidationError unless the host of an address exists and may be reached. No transaction may be open.

    It is looked up again whenever something is sent. Hosts that do not exist and hosts of inner networks are refused in
    the same words: strangers must not learn the names of our network.
    """
    release_connection()  # a name server may take its time, and connections are few
    if reach.refuses(url, seconds=_LOOKUP_SECONDS):
        raise serializers.ValidationError({"url": "its host does not exist, or is not on the public internet"})
