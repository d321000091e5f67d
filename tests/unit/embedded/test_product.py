"""The files whose changes make `make run` restart a process."""

from __future__ import annotations

from embedded.product import code_files


def test_templates_styles_and_scripts_are_code_too() -> None:
    files = {str(path) for path, _, _ in code_files()}
    assert "jobs/models.py" in files
    assert "transcoder_site/templates/administration/player.html" in files
    assert "transcoder_site/static/pages/pages.css" in files
    assert "transcoder_site/static/pages/pages.js" in files


def test_generated_files_are_not() -> None:
    assert not [path for path, _, _ in code_files() if "__pycache__" in path or path.startswith(("tests/", "docs/"))]
