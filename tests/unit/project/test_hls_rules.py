"""The rules in docs/hls.md name tests that exist, and every test of a rule is named there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/hls.md").read_text()
RULES = re.findall(r"^\| (1?\d[\d., -]*) \| (.+) \| (.+) \| (?:`(.+)::(.+)`)? ?\|$", PAGE, re.MULTILINE)


def test_rules_are_in_order() -> None:
    firsts = [[int(part) for part in re.split(r"[ ,-]", rule)[0].split(".")] for rule, *_ in RULES]
    assert firsts == sorted(firsts)
    assert len(RULES) > 30


@pytest.mark.parametrize(("file", "test"), sorted({(file, test) for *_, file, test in RULES if file}))
def test_the_test_of_a_rule_exists(file: str, test: str) -> None:
    assert f"\ndef {test}(" in (ROOT / file).read_text()


def test_every_test_of_rules_is_named() -> None:
    source = (ROOT / "tests/oracles/test_authoring.py").read_text()
    assert set(re.findall(r"^def (test_\w+)", source, re.MULTILINE)) == {
        test for *_, file, test in RULES if file == "tests/oracles/test_authoring.py"
    }


def test_a_rule_without_a_test_says_what_is_not_met() -> None:
    unmet = [here for *_, here, file, _ in RULES if not file]
    assert all(re.match(r"not|no:|four,|nothing", here) for here in unmet)
