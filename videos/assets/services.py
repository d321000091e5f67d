"""Writes to assets. Callers fence them in the same transaction."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from django.db.models.functions import Now

from videos.models import Asset
from videos.states import AssetKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFacts:
    """One file in the store, as the columns of `Asset` describe it."""

    kind: AssetKind
    name: str
    media_type: str
    key: str
    size_bytes: int
    sha256: str
    rendition_id: UUID | None = None
    language: str = ""
    width: int | None = None
    height: int | None = None
    duration: float | None = None


_FACTS = tuple(AssetFacts.__dataclass_fields__)
_IDENTITY = ("generation", "kind", "name")


def assets_publish(*, generation_id: UUID, assets: Sequence[AssetFacts]) -> None:
    """Point a generation to these files. One that it had under the same kind and name becomes garbage.

    Raises IntegrityError for a file of another generation's rendition, or of which something that its kind has is
    missing.
    """
    Asset.objects.bulk_create(
        [Asset(generation_id=generation_id, published_at=Now(), **asdict(facts)) for facts in assets],
        update_conflicts=True,
        unique_fields=_IDENTITY,
        update_fields=[*(name for name in _FACTS if name not in _IDENTITY), "published_at"],
    )
