"""Reads of assets."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from videos.models import Asset, Generation, Rendition, Text
from videos.states import GenerationState, VideoState
from videos.texts.selectors import ready_texts


def generation_assets(generation: Generation) -> QuerySet[Asset]:
    """List a generation's assets by kind, those of renditions in the renditions' order."""
    return _ordered(Asset.objects.filter(generation=generation))


def _ordered(assets: QuerySet[Asset]) -> QuerySet[Asset]:
    return assets.order_by("kind", "rendition__position", "name")


def playable_assets() -> QuerySet[Asset]:
    """Select the assets that players may have: those of complete generations of videos that are there."""
    return Asset.objects.filter(generation__state=GenerationState.COMPLETE, generation__video__state=VideoState.READY)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteGeneration:
    """A generation that players can have, with its renditions and assets in order."""

    generation: Generation
    renditions: tuple[Rendition, ...]
    assets: tuple[Asset, ...]
    texts: tuple[Text, ...]


def complete_generations(ids: Iterable[UUID | None]) -> Mapping[UUID | None, CompleteGeneration]:
    """Read those of these generations that are complete and whose videos are there, by id."""
    renditions: dict[UUID, list[Rendition]] = defaultdict(list)
    for rendition in (
        Rendition.objects.filter(
            generation__in=[generation_id for generation_id in ids if generation_id],
            generation__state=GenerationState.COMPLETE,
            generation__video__state=VideoState.READY,
        )
        .select_related("generation")
        .order_by("position")
    ):
        renditions[rendition.generation_id].append(rendition)
    assets: dict[UUID, list[Asset]] = defaultdict(list)
    for asset in _ordered(Asset.objects.filter(generation__in=list(renditions))):
        assets[asset.generation_id].append(asset)
    texts: dict[UUID, list[Text]] = defaultdict(list)
    for text in ready_texts({found[0].generation.video_id for found in renditions.values()}):
        texts[text.video_id].append(text)
    return {
        generation_id: CompleteGeneration(
            generation=found[0].generation,
            renditions=tuple(found),
            assets=tuple(assets[generation_id]),
            texts=tuple(texts[found[0].generation.video_id]),
        )
        for generation_id, found in renditions.items()
    }
