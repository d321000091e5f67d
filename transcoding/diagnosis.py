"""Why ffmpeg failed, from its exit code and the end of what it said."""

from transcoding.errors import EncoderFailed, InputRejected, TranscodeError

_INPUT_AT_FAULT = (
    "moov atom not found",
    "Invalid data found when processing input",
    "could not find codec parameters",
    "Could not find codec parameters",
    "matches no streams",
    "EBML header parsing failed",
    "Error opening input",
    "does not contain any stream",
)


def diagnose(returncode: int, stderr: str) -> TranscodeError:
    """The error that a failed run stands for. Text that blames the input means that no retry can help."""
    last = next((line for line in reversed(stderr.strip().splitlines()) if line.strip()), "it said nothing")
    if returncode < 0:
        return EncoderFailed(f"ffmpeg was ended by signal {-returncode}: {last}")
    if any(phrase in stderr for phrase in _INPUT_AT_FAULT):
        return InputRejected(f"ffmpeg cannot read the file: {last}")
    return EncoderFailed(f"ffmpeg ended with {returncode}: {last}")
