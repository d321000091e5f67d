import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.transcoding.builders import box
from transcoding.containers.references import refuse_references
from transcoding.errors import InputRejected, ResourceExceeded

HERE = box("url ", b"\x00\x00\x00\x01")
ELSEWHERE = box("url ", bytes(4) + b"file:///etc/passwd\x00")
ALIAS = box("alis", bytes(4) + b"\x00\x96" + bytes(150))
ALIAS_HERE = box("alis", b"\x00\x00\x00\x01")
WITHOUT_NAME = box("url ", bytes(4))


def _file(*entries: bytes, handler: bytes = b"vide", used: int = 1) -> bytes:
    dref = box("dref", bytes(4) + struct.pack(">I", len(entries)) + b"".join(entries))
    stsd = box("stsd", bytes(4) + struct.pack(">I", 1) + box("avc1", bytes(6) + struct.pack(">H", used) + bytes(70)))
    media = box("hdlr", bytes(8) + handler + bytes(12)) + box("minf", box("dinf", dref) + box("stbl", stsd))
    return box("ftyp", b"qt  " + bytes(4)) + box("moov", box("mvhd", bytes(100)) + box("trak", box("mdia", media)))


def _look(data: bytes) -> None:
    refuse_references(io.BytesIO(data), len(data))


@pytest.mark.parametrize("entry", [ELSEWHERE, ALIAS])
@pytest.mark.parametrize("handler", [b"vide", b"soun"])
def test_media_in_another_file_is_refused(entry: bytes, handler: bytes) -> None:
    with pytest.raises(InputRejected, match="in other files"):
        _look(_file(entry, handler=handler))


@pytest.mark.parametrize("entry", [HERE, ALIAS_HERE, WITHOUT_NAME])
def test_media_in_the_file_itself_pass(entry: bytes) -> None:
    _look(_file(entry))


def test_a_reference_that_no_sample_uses_is_ignored() -> None:
    _look(_file(HERE, ELSEWHERE))
    with pytest.raises(InputRejected):
        _look(_file(HERE, ELSEWHERE, used=2))


def test_text_in_another_file_is_ignored() -> None:
    _look(_file(ELSEWHERE, handler=b"text"))


def test_a_list_of_other_files_is_refused() -> None:
    with pytest.raises(InputRejected, match="in other files"):
        _look(box("moov", box("rmra", box("rmda", bytes(20)))))


@given(cut=st.integers(0, 400), data=st.binary(max_size=40))
def test_damage_is_left_to_others(cut: int, data: bytes) -> None:
    whole = _file(ELSEWHERE)
    try:
        _look(whole[:cut] + data + whole[cut:])
    except InputRejected:
        return


@pytest.mark.parametrize(
    "data", [box("free") * 1000, box("moov", box("dref", bytes(8) + HERE * 5000) * 20)], ids=["boxes", "long tables"]
)
def test_a_long_walk_is_checked(data: bytes) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 10:
            raise ResourceExceeded("enough")

    with pytest.raises(ResourceExceeded, match="enough"):
        refuse_references(io.BytesIO(data), len(data), check=check)
