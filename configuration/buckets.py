"""Buckets of other people, or of the operator's, that videos are imported from and outputs delivered to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from configuration.declaration import setting

_ALIAS = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_REQUIRED = ("bucket", "access_key", "secret_key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket, under the name that requests have for it."""

    alias: str
    bucket: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    endpoint_url: str = ""
    """Empty: AWS."""
    region: str = "us-east-1"
    prefix: str = ""
    """Everything is under it. Empty, or it ends with a slash."""
    owners: tuple[str, ...] = ()
    """Names and ids of the owners that may use it. Empty: all."""
    imports: bool = False
    """Videos may be imported from it."""
    destination: bool = False
    """Outputs may be delivered to it."""

    def allows(self, *names: str) -> bool:
        """Tell whether an owner with one of these names and ids may use it."""
        return not self.owners or any(name in self.owners for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketConfig:
    """Buckets that imports may read and jobs may write."""

    buckets: str = setting(
        "",
        secret=True,
        help='JSON: {"ALIAS": {"bucket", "access_key", "secret_key", "endpoint_url", "region", "prefix", "owners",'
        ' "import", "destination"}}; see docs/destinations.md.',
    )

    def problems(self) -> Iterator[str]:
        try:
            buckets_read(self.buckets)
        except ValueError as error:
            yield f"TRANSCODER_BUCKETS: {error}"


def buckets_read(text: str) -> Mapping[str, Bucket]:
    """Read the buckets of a setting, by alias. Raises ValueError; its message has no value of a key."""
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(found, dict):
        raise ValueError("it must be a JSON object with an alias for each bucket")  # noqa: TRY004 - a setting's value
    return {alias: _bucket(alias, entry) for alias, entry in found.items()}


def _bucket(alias: str, entry: object) -> Bucket:
    if not _ALIAS.fullmatch(alias):
        raise ValueError(f"an alias must be lower-case letters, digits and hyphens, got {alias!r}")
    if not isinstance(entry, dict):
        raise ValueError(f"{alias} must be a JSON object")  # noqa: TRY004 - a setting's value
    values: dict[str, Any] = {"imports" if name == "import" else name: value for name, value in entry.items()}
    kinds = {each.name: type(each.default) if each.default is not MISSING else str for each in fields(Bucket)}
    del kinds["alias"]
    if unknown := sorted(values.keys() - kinds.keys()) + ["imports"] * ("imports" in entry):
        known = ", ".join("import" if name == "imports" else name for name in kinds)
        raise ValueError(f"{alias} has no {unknown[0]}; known are {known}")
    for name in _REQUIRED:
        if not values.get(name):
            raise ValueError(f"{alias} needs {name}")
    for name, value in values.items():
        shown = "import" if name == "imports" else name
        if kinds[name] is tuple:
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                raise ValueError(f"{shown} of {alias} must be a list of strings")
            values[name] = tuple(value)
        elif not isinstance(value, kinds[name]):
            raise ValueError(f"{shown} of {alias} must be {'true or false' if kinds[name] is bool else 'a string'}")
    _check_location(alias, values)
    return Bucket(alias=alias, **values)


def _check_location(alias: str, values: dict[str, Any]) -> None:
    endpoint, prefix = values.get("endpoint_url", ""), values.get("prefix", "")
    if endpoint and urlsplit(endpoint).scheme not in {"http", "https"}:
        raise ValueError(f"endpoint_url of {alias} must begin with http:// or https://")
    if prefix:
        values["prefix"] = prefix if prefix.endswith("/") else f"{prefix}/"
    if any(name in ("", ".", "..") for name in values.get("prefix", "").split("/")[:-1]):
        raise ValueError(f"prefix of {alias} must be names with slashes between them")
