"""Content negotiation that never refuses: a client that accepts none of our media types gets the usual one."""

from collections.abc import Iterable

from django.http import Http404
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class LenientNegotiation(DefaultContentNegotiation):
    """REST framework's negotiation, with the first renderer in place of 404 and 406.

    RFC 9110, section 12.5.1, allows that. Generated clients name the media types of errors only where an operation has
    no document, and downloads are requested with any media type.
    """

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        try:
            chosen: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
        except (NotAcceptable, Http404):
            usual = next(iter(renderers))
            return usual, usual.media_type
        return chosen
