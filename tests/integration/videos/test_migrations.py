"""Migrations of rows that older versions wrote, forward and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.integration.videos.test_assets import a_generation, a_rung, complete
from tests.rows import a_run, an_mp4
from videos.assets.selectors import generation_assets
from videos.assets.services import AssetFacts
from videos.models import Asset, Generation
from videos.runs import run_publish
from videos.services import generation_abandon, video_mark_deleted
from videos.states import GenerationState

BEFORE_ASSETS = ("videos", "0006_newest_in_state")


def migrate_to(*targets: tuple[str, str]) -> None:
    MigrationExecutor(connection).migrate(list(targets))


def models_at(*targets: tuple[str, str]) -> Any:  # noqa: ANN401 - historical models have no types
    """The models as they are at these targets."""
    return MigrationExecutor(connection).loader.project_state(list(targets)).apps


@pytest.fixture
def newest(transactional_db: None) -> Iterator[list[tuple[str, str]]]:
    """The newest migrations; the test's database is brought back to them."""
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()
    yield leaves
    migrate_to(*leaves)


def test_rows_of_before_assets_become_new_ones_and_back(newest: list[tuple[str, str]]) -> None:
    """MP4s become assets, and lost generations abandoned ones: together, since each way takes seconds."""
    stored, unmade, deleted = (a_generation() for _ in range(3))
    for generation in (stored, unmade, deleted):
        rung = a_rung(generation)
        run_publish(step_id=generation.id, attempt=1, runs=[a_run(rung, 0, 2), a_run(rung, 2, 1)])
    complete(stored)
    video_mark_deleted(video=deleted.video)
    abandoned, building = a_generation(), a_generation()
    generation_abandon(generation_id=abandoned.id)

    migrate_to(BEFORE_ASSETS)
    old = models_at(BEFORE_ASSETS)
    generations, renditions = old.get_model("videos", "Generation"), old.get_model("videos", "Rendition")
    found = generations.objects.filter(id__in=[abandoned.id, building.id]).values_list("id", "state")
    assert dict(found) == {abandoned.id: "lost", building.id: "building"}
    for generation in (stored, deleted):
        rung = renditions.objects.filter(generation_id=generation.id, kind="video")
        assert rung.update(mp4_key=f"{generation.id}.mp4", mp4_size=7, mp4_sha256="a" * 64) == 1

    migrate_to(*newest)
    assert generation_assets(stored).count() == Asset.objects.count() == 1
    facts = {name: getattr(Asset.objects.get(), name) for name in AssetFacts.__dataclass_fields__}
    rung = a_rung(stored)
    expected = an_mp4(rung, key=f"{stored.id}.mp4", size_bytes=7, sha256="a" * 64)
    ticks = 3 * a_run(rung, 0).durations[0]
    assert facts == {name: getattr(replace(expected, duration=ticks / rung.timescale), name) for name in facts}
    assert Generation.objects.get(id=stored.id).state == GenerationState.COMPLETE
    assert Generation.objects.get(id=abandoned.id).state == GenerationState.ABANDONED
    assert Generation.objects.get(id=building.id).state == GenerationState.BUILDING

    migrate_to(BEFORE_ASSETS)
    back = renditions.objects.exclude(mp4_key="").values_list("generation_id", "mp4_key", "mp4_size", "mp4_sha256")
    assert list(back) == [(stored.id, f"{stored.id}.mp4", 7, "a" * 64)]
