from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

import prometheus_client.values
import pytest
from prometheus_client import REGISTRY

from observability.metrics import METRICS, Counter, Histogram, exposition, use_shared_folder
from observability.version import VERSION


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let processes add up their counts in a shared folder; undone afterwards."""
    before = prometheus_client.values.ValueClass
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    use_shared_folder(tmp_path)
    yield
    prometheus_client.values.ValueClass = before


@pytest.fixture
def fresh() -> Iterator[tuple[Counter, Histogram]]:
    yield Counter("things_total", "Things.", ("kind",)), Histogram("sizes", "Sizes.", (), (1, 10))
    for name in ("vodmill_things_total", "vodmill_sizes"):
        if collector := METRICS.pop(name)._object:
            REGISTRY.unregister(collector)


def test_forked_processes_add_up(shared: None, fresh: tuple[Counter, Histogram]) -> None:
    things, sizes = fresh
    things.add(kind="a")
    for _ in range(3):
        child = os.fork()
        if child == 0:
            things.add(2, kind="a")
            sizes.observe(5)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    text = exposition().decode()
    assert 'vodmill_things_total{kind="a"} 7.0' in text, "the dead are counted too"
    assert 'vodmill_sizes_bucket{le="10.0"} 3.0' in text


def test_a_shared_folder_starts_empty(shared: None, fresh: tuple[Counter, Histogram], tmp_path: Path) -> None:
    (tmp_path / "counter_1.db").write_bytes(b"left")
    use_shared_folder(tmp_path)
    assert not list(tmp_path.glob("*.db"))


def test_an_unused_metric_opens_no_file(shared: None, fresh: tuple[Counter, Histogram], tmp_path: Path) -> None:
    assert not list(tmp_path.glob("*.db"))


def test_expected_series_exist_before_anything_is_counted(fresh: tuple[Counter, Histogram]) -> None:
    things, _ = fresh
    things.expect(kind=("a", "b"))
    text = exposition().decode()
    for series in (
        'vodmill_things_total{kind="a"} 0.0',
        'vodmill_things_total{kind="b"} 0.0',
        "vodmill_sizes_count 0.0",
    ):
        assert series in text


def test_expected_series_exist_once_for_all_processes(shared: None, fresh: tuple[Counter, Histogram]) -> None:
    things, _ = fresh
    things.expect(kind=("a",))
    assert 'vodmill_things_total{kind="a"} 0.0' in exposition().decode()
    child = os.fork()
    if child == 0:
        things.add(2, kind="a")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert exposition().decode().count('vodmill_things_total{kind="a"} 2.0') == 1


def test_the_version_is_shown() -> None:
    assert (
        f'vodmill_build_info{{python="{platform.python_version()}",version="{VERSION}"}} 1.0' in exposition().decode()
    )


def test_labels_are_few() -> None:
    assert all(len(metric.labels) <= 3 for metric in METRICS.values())
