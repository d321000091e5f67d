"""docs/inputs.md is what the table says."""

from tests.inputs.document import PATH, document


def test_the_page_is_written_from_the_table() -> None:
    assert PATH.read_text() == document(), "run: make inputs"
