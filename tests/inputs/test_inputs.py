"""Every row of docs/inputs.md, made and transcoded for real: its outputs are decoded and measured."""

from pathlib import Path

import pytest

from tests.inputs.case import Case, Refused
from tests.inputs.comparing import differences
from tests.inputs.running import transcode
from tests.inputs.table import ALIKE, AREAS, CASES
from transcoding.errors import TranscodeError

EACH = [pytest.param(case, id=key, marks=pytest.mark.thorough if key in ALIKE else ()) for key, case in CASES.items()]


@pytest.mark.parametrize("case", EACH)
def test_an_input_comes_out_as_the_table_says(case: Case, tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    source = case.make(tmp_path / "input")
    if isinstance(case.outcome, Refused):
        with pytest.raises(TranscodeError) as error:
            transcode(source, tmp_path / "work", case.request, preset=case.preset)
        assert (error.value.code, str(error.value)) == (case.outcome.code, case.outcome.sentence)
        assert not error.value.retryable
        return
    found = transcode(source, tmp_path / "work", case.request, preset=case.preset)
    wrong = list(differences(case.outcome, found, tmp_path))
    assert not wrong, "\n".join([case.what, *wrong])


def test_no_two_rows_have_one_key() -> None:
    assert len(CASES) == sum(len(area.CASES) for area in AREAS)
    assert CASES.keys() >= ALIKE
