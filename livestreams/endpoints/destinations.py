"""RTMP servers that broadcasts are sent on to: in requests and in documents."""

from collections.abc import Iterable, Mapping
from uuid import uuid4

from rest_framework import serializers

from api.fields import StrictSerializer
from api.outbound_urls import host_check
from outbound.addresses import Reach
from outbound.urls import url_host, url_problem

SCHEMES = ("rtmp", "rtmps")
_MAX_URL_LENGTH = 2000
_MAX_NAME_LENGTH = 100


class PushUrl(serializers.CharField):
    """An RTMP URL with an application and a stream key: `rtmps://host/app/key`."""

    def to_internal_value(self, data: str) -> str:
        text = super().to_internal_value(data)
        if problem := url_problem(text, schemes=SCHEMES):
            raise serializers.ValidationError(problem)
        application, _, key = text.split("://", 1)[1].partition("/")[2].partition("/")
        if not (application and key):
            raise serializers.ValidationError("must name an application and a stream key: rtmps://host/app/key")
        return text


class PushRequest(StrictSerializer):
    """An RTMP server and the stream key there."""

    url = PushUrl(
        max_length=_MAX_URL_LENGTH, help_text="Its URL with the stream key at the end. It is never shown again."
    )
    name = serializers.CharField(
        max_length=_MAX_NAME_LENGTH, required=False, help_text="For people. Default: the host of the URL."
    )


def shown_destination(url: str) -> str:
    """Return scheme and host of a destination, as people and logs may see it: what follows is a key."""
    return f"{url.partition('://')[0]}://{url_host(url)}/…"


def stored_destinations(requested: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Build what a row keeps of requested destinations, each with an id by which its state is shown."""
    return [
        {"id": uuid4().hex[:8], "name": each.get("name") or url_host(each["url"]), "url": each["url"]}
        for each in requested
    ]


def destinations_check(requested: Iterable[Mapping[str, str]], reach: Reach) -> None:
    """Raise ValidationError for a host that does not exist or may not be reached. No transaction may be open."""
    for index, each in enumerate(requested):
        try:
            host_check(each["url"], reach)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"push": {str(index): error.detail}}) from None
