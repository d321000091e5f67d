from collections import Counter
from pathlib import Path

import pytest

from configuration.document import documents
from configuration.loading import all_settings

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("path", "text"), documents(ROOT).items(), ids=lambda each: getattr(each, "name", ""))
def test_the_documentation_lists_exactly_what_is_declared(path: Path, text: str) -> None:
    assert path.read_text() == text, "run: .venv/bin/python -m configuration.document"


def test_a_name_is_declared_once() -> None:
    names = Counter(setting.name for setting in all_settings())
    assert [name for name, times in names.items() if times > 1] == []


def test_every_default_keeps_its_own_limits() -> None:
    for setting in all_settings():
        assert not setting.choices or setting.default in setting.choices
        assert setting.minimum is None or setting.default >= setting.minimum
        assert setting.maximum is None or setting.default <= setting.maximum


def test_every_setting_says_what_it_is_in_a_sentence() -> None:
    assert [setting.name for setting in all_settings() if not setting.help] == []
