"""The version is stated once for packages, and once for the code."""

import tomllib

from embedded.home import REPOSITORY
from observability.version import VERSION


def test_the_code_has_the_version_of_the_package() -> None:
    assert tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"] == VERSION
