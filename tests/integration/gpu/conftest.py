from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers.nvml import Driver, build


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a libnvidia-ml.so.1 of ours."""
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def driver(nvml_library: Path, tmp_path: Path) -> Driver:
    """A driver of NVIDIA's that shows no device yet."""
    return Driver(nvml_library, tmp_path / "script")
