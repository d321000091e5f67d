"""Requests that the API's own schema allows, and many that it does not, made by Schemathesis."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CONFIG = """
[generation]
max-examples = 5

[checks.positive_data_acceptance]
enabled = false  # no schema can say which cursors there are, and which keys were used before

[phases.coverage]
unexpected-methods = ["PUT"]

[parameters]
{parameters}

[[operations]]
include-name = "DELETE /api/v1/videos/{{video_id}}"
parameters = {{ "path.video_id" = "{unwanted}" }}

[[operations]]
include-path-regex = "/videos/.*/(jobs|outputs)$"
phases.coverage.enabled = false  # the parameters of the list of jobs again
"""
"""The things that paths name exist, so that requests get beyond "not found"."""


def fuzz(url: str, folder: Path, *options: str, ids: Mapping[str, object], unwanted: object = "") -> None:
    """Send the requests and hold each response to the schema. Raises AssertionError with the report.

    `ids` are the path parameters by name; `unwanted` is the video that may be deleted.
    """
    parameters = "\n".join(f'"path.{name}" = "{value}"' for name, value in ids.items())
    (folder / "schemathesis.toml").write_text(CONFIG.format(parameters=parameters, unwanted=unwanted))
    argv = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/api/schema?format=json"]
    fixed = ["--request-timeout", "120", "--seed", "1", "--generation-database", "none", "--no-color"]
    done = subprocess.run([*argv, *fixed, *options], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
