"""Django's settings are read by the project and by the wiring of each package, and nowhere else."""

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
USER_MODEL = {"access/models.py"}
"""Models refer to `settings.AUTH_USER_MODEL`, as Django demands."""


def may_read(path: Path) -> bool:
    file = path.relative_to(ROOT)
    return (
        file.parts[0] == "transcoder_site"
        or file.name == "wiring.py"
        or "commands" in file.parts
        or "migrations" in file.parts
        or file.as_posix() in USER_MODEL
    )


def reads_settings(path: Path) -> bool:
    return any(
        (isinstance(node, ast.ImportFrom) and node.module == "django.conf")
        or (isinstance(node, ast.Import) and any(each.name.startswith("django.conf") for each in node.names))
        for node in ast.walk(ast.parse(path.read_bytes()))
    )


def readers() -> set[Path]:
    return {path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if reads_settings(path)}


def test_settings_are_read_in_wiring_only() -> None:
    assert sorted(str(path.relative_to(ROOT)) for path in readers() if not may_read(path)) == []


def test_the_check_finds_readers() -> None:
    assert ROOT / "access/wiring.py" in readers()


def test_models_use_the_settings_for_the_user_model_only() -> None:
    for file in USER_MODEL:
        tree = ast.parse((ROOT / file).read_bytes())
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "settings"
        }
        assert used == {"AUTH_USER_MODEL"}
