import pytest

from transcoding.diagnosis import diagnose, is_of_a_seek, last_words
from transcoding.errors import EncoderFailed, InputRejected, TranscodeError


@pytest.mark.parametrize(
    ("returncode", "stderr", "kind", "message"),
    [
        (183, "[mov @ 0x1] moov atom not found", InputRejected, "moov atom not found"),
        (1, "[in#0] Error opening input: Invalid data found when processing input", InputRejected, "cannot read"),
        (234, "Stream map '0:v:0' matches no streams.", InputRejected, "matches no streams"),
        (1, "EBML header parsing failed\n\n", InputRejected, "EBML header parsing failed"),
        (-9, "", EncoderFailed, "ended by signal 9: it said nothing"),
        (-11, "Invalid data found when processing input", EncoderFailed, "ended by signal 11"),
        (1, "Error opening input: No such file or directory", EncoderFailed, "No such file"),
        (228, "Invalid data found when processing input\nNo space left on device", EncoderFailed, "No space left"),
        (1, "x264 [error]: malloc of size 1 failed\nCannot allocate memory", EncoderFailed, "Cannot allocate"),
        (8, "Unrecognized option 'bogus'.", EncoderFailed, "ended with 8: Unrecognized option"),
        (1, "", EncoderFailed, "ended with 1: it said nothing"),
        (1, "first\nlast\n \n", EncoderFailed, "last"),
    ],
)
def test_a_failure_is_the_file_s_or_the_machine_s(
    returncode: int, stderr: str, kind: type[TranscodeError], message: str
) -> None:
    error = diagnose(returncode, stderr)
    assert type(error) is kind
    assert message in str(error)
    assert error.retryable is (kind is EncoderFailed)


@pytest.mark.parametrize(
    ("complaint", "harmless"),
    [
        ("[h264 @ 0x55cd5d818e40] mmco: unref short failure", True),
        ("    Last message repeated 12 times", True),
        ("[h264 @ 0x1] co located POCs unavailable", True),
        ("[hevc @ 0x1] Could not find ref with POC 12", True),
        ("", True),
        ("[h264 @ 0x1] Invalid NAL unit size (0 > 593).", False),
        ("[h264 @ 0x1] error while decoding MB 3 4, bytestream -5", False),
        ("[prores @ 0x1] invalid frame header", False),
        ("[mov,mp4 @ 0x1] something new", False),
    ],
)
def test_only_what_is_known_to_come_of_a_seek_is_put_down_to_it(complaint: str, *, harmless: bool) -> None:
    assert is_of_a_seek(complaint) is harmless


def test_where_files_lie_is_nobodys_business() -> None:
    said = "first\n[mov @ 0x5] Error opening input: file:/tmp/vodmill/steps/7/a-b.mp4: Invalid data, 3/4 of it\n\n"
    assert last_words(said) == "[mov @ 0x5] Error opening input: the file: Invalid data, 3/4 of it"


def test_last_words_are_short() -> None:
    assert last_words("x" * 100_000) == "x" * 200
    assert last_words("\n") == "it said nothing"
