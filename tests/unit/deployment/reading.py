"""Dockerfile, Compose file and Kubernetes manifests as values."""

import re
import typing
from collections.abc import Iterator
from typing import Any

import yaml

from configuration import Config
from configuration.declaration import section_settings
from embedded.home import REPOSITORY

Manifest = dict[str, Any]

SETTINGS = {
    setting.variable for section in typing.get_type_hints(Config).values() for setting in section_settings(section)
}
"""Every variable that the product reads."""


def instructions() -> list[tuple[str, str]]:
    """Instruction and arguments of each line of the Dockerfile, continued lines joined."""
    text = (REPOSITORY / "Dockerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\\n\s*", "", text)
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage by its name, those of the stages it is made from in front."""
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions():
        if word == "FROM":
            source, _, name = rest.partition(" AS ")
            found[name] = [*found.get(source, []), (word, source)]
        elif found:
            found[name].append((word, rest))
    return found


def compose() -> Manifest:
    loaded: Manifest = yaml.safe_load((REPOSITORY / "docker-compose.gpu.yml").read_text())
    return loaded


def manifests() -> Iterator[Manifest]:
    """Every resource of k8s/ as it is written."""
    for path in sorted((REPOSITORY / "k8s").rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from yaml.safe_load_all(path.read_text())


def seconds(duration: str) -> int:
    assert duration.endswith("s")
    return int(duration.removesuffix("s"))
