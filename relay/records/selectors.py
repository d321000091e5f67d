"""Reads of live sessions."""

from uuid import UUID

from django.db.models import QuerySet

from access.models import Owner
from api.problems import not_found
from relay.models import LiveSession


def sessions_of(owner: Owner) -> QuerySet[LiveSession]:
    """Select the sessions of an owner."""
    return LiveSession.objects.filter(owner=owner)


def session_of(owner: Owner, session_id: UUID) -> LiveSession:
    """Return a session of an owner. Raises Problem (404)."""
    session = sessions_of(owner).filter(id=session_id).first()
    if session is None:
        raise not_found("session")
    return session
