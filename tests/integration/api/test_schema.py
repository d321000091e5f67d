"""Requests of every kind that the schema allows, and many that it does not: no 5xx, and nothing undocumented."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from storage.protocol import ObjectStore
from tests.rows import a_job

EXAMPLES = 8
"""Random requests per operation, on top of those that cover the schema's limits."""


def schemathesis(api: httpx.Client, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    argv = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{api.base_url}/api/schema?format=json"]
    fixed = ["--seed", "1", "--generation-database", "none", "--no-color", "--max-examples", str(EXAMPLES)]
    return subprocess.run([*argv, *fixed, *options], capture_output=True, text=True, check=False, cwd=tmp_path)


@pytest.mark.parametrize("key", [True, False], ids=["with a key", "without a key"])
def test_nothing_undocumented_happens(api: httpx.Client, store: ObjectStore, tmp_path: Path, *, key: bool) -> None:
    a_job()
    headers = ["--header", f"X-API-Key: {api.headers['X-API-Key']}"] if key else []
    done = schemathesis(api, tmp_path, *headers)
    Path(f"/tmp/st-{key}.txt").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
