"""Assets: constraints, replacement by a later attempt, lookup and deletion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError

from tests.rows import a_job, a_run, a_video, an_mp4
from videos.assets.selectors import complete_generations, generation_assets, playable_assets
from videos.assets.services import assets_publish
from videos.models import Asset, Generation, Rendition, SegmentRun, Video
from videos.runs import run_publish
from videos.services import VerifiedRendition, generation_complete, video_mark_deleted
from videos.states import AssetKind


def a_generation(video: Video | None = None) -> Generation:
    generation = a_job(video or a_video(), resolution="360p").generation
    assert generation is not None
    return generation


def a_rung(generation: Generation) -> Rendition:
    return generation.renditions.get(kind="video")


def complete(generation: Generation) -> None:
    verified = [
        VerifiedRendition(rendition_id=row.id, peak_bitrate=2, avg_bitrate=1, size_bytes=3, sha256="c")
        for row in generation.renditions.all()
    ]
    generation_complete(generation=generation, verified=verified)


WRONG: dict[str, dict[str, Any]] = {
    "a kind that does not exist": {"kind": "poster"},
    "a name that is no part of a URL": {"name": "360p/../x"},
    "no name": {"name": ""},
    "no key": {"key": ""},
    "no bytes": {"size_bytes": 0},
    "a digest that is none": {"sha256": "c"},
    "a media type that is none": {"media_type": "mp4"},
    "another media type than its kind has": {"media_type": "video/webm"},
    "a language that is none": {"language": "de_DE!"},
    "a width without a height": {"height": None},
    "a height without a width": {"width": None},
    "no geometry": {"width": None, "height": None},
    "no duration": {"duration": None},
    "a duration of nothing": {"duration": 0.0},
    "no rendition": {"rendition_id": None},
    "a track with a geometry": {"kind": AssetKind.M4A, "media_type": "audio/mp4"},
    "a track that is no audio": {"kind": AssetKind.M4A, "width": None, "height": None},
    "a track without a duration": {
        "kind": AssetKind.M4A,
        "media_type": "audio/mp4",
        "width": None,
        "height": None,
        "duration": None,
    },
}


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_row_is_refused(wrong: dict[str, Any]) -> None:
    generation = a_generation()
    with pytest.raises(IntegrityError):
        assets_publish(generation_id=generation.id, assets=[replace(an_mp4(a_rung(generation)), **wrong)])


@pytest.mark.django_db(transaction=True)
def test_a_rendition_of_another_generation_is_refused() -> None:
    video = a_video()
    one, other = a_generation(video), a_generation(video)
    with pytest.raises(IntegrityError, match="videos_asset_rendition_fk"):
        assets_publish(generation_id=one.id, assets=[an_mp4(a_rung(other))])


@pytest.mark.django_db
def test_two_rows_never_name_one_object() -> None:
    video = a_video()
    for number, generation in enumerate([a_generation(video), a_generation(video)]):
        facts = an_mp4(a_rung(generation), key="videos/one.mp4")
        if number == 0:
            assets_publish(generation_id=generation.id, assets=[facts])
            continue
        with pytest.raises(IntegrityError, match="key"):
            assets_publish(generation_id=generation.id, assets=[facts])


@pytest.mark.django_db
def test_a_later_attempt_replaces_what_an_earlier_one_published() -> None:
    generation = a_generation()
    rung = a_rung(generation)
    assets_publish(generation_id=generation.id, assets=[an_mp4(rung, key="a1.mp4")])
    (before,) = generation_assets(generation)
    assets_publish(generation_id=generation.id, assets=[an_mp4(rung, key="a2.mp4", size_bytes=9, sha256="d" * 64)])
    (asset,) = generation_assets(generation)
    assert (asset.id, asset.key, asset.size_bytes, asset.sha256) == (before.id, "a2.mp4", 9, "d" * 64)


@pytest.mark.django_db
def test_players_find_an_asset_by_kind_and_name_in_a_complete_generation() -> None:
    generation = a_generation()
    assets_publish(generation_id=generation.id, assets=[an_mp4(a_rung(generation))])
    assert not playable_assets().exists()
    assert complete_generations([generation.id]) == {}
    complete(generation)
    assert playable_assets().get() == Asset.objects.get()
    found = complete_generations([generation.id])[generation.id]
    assert (found.generation, found.assets) == (generation, (Asset.objects.get(),))
    assert [row.name for row in found.renditions] == ["360p", "audio"]


@pytest.mark.django_db
def test_the_assets_of_renditions_come_in_the_renditions_order() -> None:
    generation = a_job(a_video(width=1280, height=720)).generation
    assert generation is not None
    rungs = list(generation.renditions.filter(kind="video").order_by("position"))
    assets_publish(generation_id=generation.id, assets=[an_mp4(rung) for rung in reversed(rungs)])
    assert [asset.name for asset in generation_assets(generation)] == ["720p", "480p", "360p"]


@pytest.mark.django_db
def test_a_deleted_video_keeps_no_row_that_names_an_object() -> None:
    generation = a_generation()
    rung = a_rung(generation)
    run_publish(step_id=generation.id, attempt=1, runs=[a_run(rung, 0)])
    assets_publish(generation_id=generation.id, assets=[an_mp4(rung)])
    video_mark_deleted(video=generation.video)
    assert not SegmentRun.objects.exists()
    assert not Asset.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_generation_takes_its_assets_along() -> None:
    generation = a_generation()
    assets_publish(generation_id=generation.id, assets=[an_mp4(a_rung(generation))])
    Generation.objects.filter(id=generation.id).delete()
    assert not Asset.objects.exists()
