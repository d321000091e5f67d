from __future__ import annotations

from pathlib import Path

import pytest

from tests.drivers.nvml import Driver, build


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the stub libnvidia-ml.so.1."""
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def driver(nvml_library: Path, tmp_path: Path) -> Driver:
    """Stub of NVIDIA's driver, without devices."""
    return Driver(nvml_library, tmp_path / "script")
