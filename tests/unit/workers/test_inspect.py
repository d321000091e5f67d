from pathlib import Path

import pytest

from transcoding.errors import InputRejected
from workers.steps.indexing import refuse_growth


def test_a_copy_may_not_outgrow_its_source(tmp_path: Path) -> None:
    copy = tmp_path / "indexed.mkv"
    refuse_growth(copy, 10)
    copy.write_bytes(bytes(10))
    refuse_growth(copy, 10)
    copy.write_bytes(bytes(11))
    with pytest.raises(InputRejected, match="larger than 10 bytes"):
        refuse_growth(copy, 10)
