import pytest

from transcoding.commands.diagnosis import (
    DamageCount,
    GpuFailure,
    diagnose,
    gpu_failure,
    is_of_a_seek,
    last_words,
    output_tail,
)
from transcoding.encoders import ENCODERS
from transcoding.errors import (
    DeviceBusy,
    DeviceLost,
    EncoderFailed,
    EncoderRefused,
    InputRejected,
    TranscodeError,
)


@pytest.mark.parametrize(
    ("returncode", "stderr", "kind", "message"),
    [
        (183, "[mov @ 0x1] moov atom not found", InputRejected, "moov atom not found"),
        (1, "[in#0] Error opening input: Invalid data found when processing input", InputRejected, "cannot be read"),
        (234, "Stream map '0:v:0' matches no streams.", InputRejected, "matches no streams"),
        (1, "EBML header parsing failed\n\n", InputRejected, "EBML header parsing failed"),
        (-9, "", EncoderFailed, "killed on the worker, perhaps for lack of memory;"),
        (-11, "Invalid data found when processing input", EncoderFailed, "killed on the worker"),
        (1, "Error opening input: No such file or directory", EncoderFailed, "No such file"),
        (228, "Invalid data found when processing input\nNo space left on device", EncoderFailed, "No space left"),
        (1, "x264 [error]: malloc of size 1 failed\nCannot allocate memory", EncoderFailed, "Cannot allocate"),
        (8, "Unrecognized option 'bogus'.", EncoderFailed, "(Unrecognized option"),
        (1, "", EncoderFailed, "(it said nothing)"),
        (1, "first\nlast\n \n", EncoderFailed, "(last)"),
    ],
)
def test_a_failure_is_the_file_s_or_the_machine_s(
    returncode: int, stderr: str, kind: type[TranscodeError], message: str
) -> None:
    error = diagnose(returncode, stderr)
    assert type(error) is kind
    assert message in f"{error} ({error.details})"
    assert error.retryable is (kind is EncoderFailed)


@pytest.mark.parametrize(
    ("returncode", "stderr", "kind"),
    [
        (1, "[matroska @ 0x1] Can't write packet with unknown timestamp", InputRejected),
        (1, "", InputRejected),
        (1, "No space left on device", EncoderFailed),
        (-9, "Can't write packet with unknown timestamp", EncoderFailed),
    ],
)
def test_copying_fails_because_of_the_file_unless_the_machine_does(
    returncode: int, stderr: str, kind: type[TranscodeError]
) -> None:
    assert type(diagnose(returncode, stderr, copying=True)) is kind


def test_errors_of_decoders_are_counted() -> None:
    damage = DamageCount()
    for line in (
        "[h264 @ 0x1] mmco: unref short failure",
        "    Last message repeated 12 times",
        "[h264 @ 0x1] error while decoding MB 3 4, bytestream -5",
        "    Last message repeated 2 times",
        "",
        "[h264 @ 0x1] Invalid NAL unit size (0 > 593).",
    ):
        damage.take(line)
    assert damage.errors == 4


@pytest.mark.parametrize("mark", ["1000000007.000000", "[Eval @ 0x7fdabde99250] 1000000007.000000"])
def test_errors_in_front_of_the_first_frame_are_those_of_another_chunk(mark: str) -> None:
    damage, error = DamageCount(), "[ffv1 @ 0x1] slice CRC mismatch 5CE9E1EC!at 0.480000 seconds"
    for line in (error, error, mark, error):
        damage.take(line)
    assert damage.errors == 1
    assert is_of_a_seek(mark)
    assert last_words(f"{error}\n{mark}") == "[ffv1] slice CRC mismatch 5CE9E1EC!at 0.480000 seconds"


@pytest.mark.parametrize(
    ("line", "harmless"),
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
def test_only_what_is_known_to_come_of_a_seek_is_put_down_to_it(line: str, *, harmless: bool) -> None:
    assert is_of_a_seek(line) is harmless


def test_where_files_lie_is_nobodys_business() -> None:
    said = "first\n[mov @ 0x5] Error opening input: file:/tmp/vodmill/steps/7/a-b.mp4: Invalid data, 3/4 of it\n\n"
    assert last_words(said) == "[mov] Error opening input: the file: Invalid data, 3/4 of it"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "[mov,mp4,m4a,3gp,3g2,mj2 @ 0x55cd5d818e40] moov atom not found",
            "[mov,mp4,m4a,3gp,3g2,mj2] moov atom not found",
        ),
        ("[h264 @ 0x1] [dec:h264 @ 0x2] Invalid data. \nConversion failed!", "[h264] [dec:h264] Invalid data"),
        ("buffer 0x7ffd1c2b3a40 is too small", "buffer is too small"),
        (
            "[x264 @ 0x5] width not divisible by 2 (641x360)\n[a @ 0x6] Task finished with error code: -22 (Invalid)",
            "[x264] width not divisible by 2 (641x360)",
        ),
        (
            "[vost#0:0/libx264 @ 0x6] Task finished with error code: -22 (Invalid argument)",
            "[vost#0:0/libx264] Task finished: Invalid argument",
        ),
        ("Conversion failed!", "Conversion failed!"),
    ],
)
def test_last_words_are_for_people(said: str, shown: str) -> None:
    """Neither addresses of memory nor numbers of errors, and the line that says why instead of the summary."""
    assert last_words(said) == shown


@pytest.mark.parametrize(
    ("returncode", "stderr", "advice"),
    [
        (183, "[mov @ 0x1] moov atom not found", "upload all of it"),
        (183, "[mov @ 0x1] Invalid data found when processing input", "export or upload it again"),
        (-9, "", "retry the job"),
        (234, "[libx264 @ 0x1] no", "retry the job"),
    ],
)
def test_an_error_says_what_to_do(returncode: int, stderr: str, advice: str) -> None:
    text = str(diagnose(returncode, stderr))
    assert advice in text
    assert "0x" not in text
    assert str(abs(returncode)) not in text


def test_last_words_are_short() -> None:
    assert last_words("x" * 100_000) == "x" * 200
    assert last_words("\n") == "it said nothing"


# --- devices ----------------------------------------------------------------------------------------------------------

NVENC, VAAPI, QSV, AMF = "h264_nvenc", "hevc_vaapi", "av1_qsv", "h264_amf"
AFTERWARDS = """
[vost#0:0/h264_nvenc @ 0x557244cdeb80] [enc:h264_nvenc @ 0x557244cdf5c0] Could not open encoder before EOF
[vost#0:0/h264_nvenc @ 0x557244cdeb80] Task finished with error code: -22 (Invalid argument)
[vost#0:0/h264_nvenc @ 0x557244cdeb80] Terminating thread with return code -22 (Invalid argument)
[out#0/null @ 0x557244cddfc0] Nothing was written into output file
"""
"""The exit of ffmpeg 9 when anything went wrong on the way to an encoder."""
OLD_OPENING = (
    "Error initializing output stream 0:0 -- Error while opening encoder for output stream #0:0 - "
    "maybe incorrect parameters such as bit_rate, rate, width or height"
)


@pytest.mark.parametrize(
    ("encoder", "said", "failure"),
    [
        # the limit of sessions, and memory
        (
            NVENC,
            (
                f"[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: out of memory (10): (no details){AFTERWARDS}"
                "[vost#0:0/h264_nvenc @ 0x1] Task finished with error code: -12 (Cannot allocate memory)"
            ),
            "busy",
        ),
        (
            NVENC,
            f"[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: incompatible client key (21): \n{OLD_OPENING}",
            "busy",
        ),
        (NVENC, "[h264_nvenc @ 0x1] EncodePicture failed!: encoder busy (18): (no details)", "busy"),
        (NVENC, "[AVHWFramesContext @ 0x1] cu->cuMemAlloc(&data, size) failed -> CUDA_ERROR_OUT_OF_MEMORY: x", "busy"),
        (VAAPI, "[hevc_vaapi @ 0x1] Failed to end picture encode issue: 33 (HW busy now).", "busy"),
        (QSV, "[av1_qsv @ 0x1] Error initializing the encoder: failed to allocate memory (-4)", "busy"),
        # no driver, no device, a device that is gone
        (NVENC, f"[h264_nvenc @ 0x1] Cannot load libcuda.so.1{AFTERWARDS}", "device_lost"),
        (NVENC, f"[h264_nvenc @ 0x1] Cannot load libnvidia-encode.so.1\n{OLD_OPENING}", "device_lost"),
        (
            NVENC,
            "[AVHWDeviceContext @ 0x1] Could not dynamically load CUDA\nDevice creation failed: -1.",
            "device_lost",
        ),
        (
            NVENC,
            "[h264_nvenc @ 0x1] dl_fn->cuda_dl->cuInit(0) failed -> CUDA_ERROR_NO_DEVICE: no CUDA-capable device",
            "device_lost",
        ),
        (
            NVENC,
            "[h264_nvenc @ 0x1] Driver does not support the required nvenc API version. Required: 13.0",
            "device_lost",
        ),
        (NVENC, "[h264_nvenc @ 0x1] EncodePicture failed!: generic error (20): (no details)", "device_lost"),
        (NVENC, "[h264_nvenc @ 0x1] LockBitstream failed: invalid device (4)", "device_lost"),
        (NVENC, "[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: invalid encoder device (3)", "device_lost"),
        (NVENC, "[h264_nvenc @ 0x1] EncodePicture failed!: device does not exist (5): ", "device_lost"),
        (
            VAAPI,
            "[VAAPI @ 0x1] No VA display found for device /dev/dri/renderD128.\nDevice creation failed: -22.",
            "device_lost",
        ),
        (VAAPI, "[AVHWDeviceContext @ 0x1] Failed to initialise VAAPI connection: -1 (unknown error).", "device_lost"),
        (QSV, "[h264_qsv @ 0x1] Error initializing an internal MFX session: unsupported (-3)", "device_lost"),
        (QSV, "[h264_qsv @ 0x1] Error creating a MFX session: -9.", "device_lost"),
        (QSV, "[av1_qsv @ 0x1] Error during encoding: device failed (-17)", "device_lost"),
        (AMF, "[AMF @ 0x1] DLL libamfrt64.so.1 failed to open", "device_lost"),
        # a device that does not do this
        (
            NVENC,
            f"[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: unsupported device (2): (no details){AFTERWARDS}",
            "encoder_refused",
        ),
        (
            NVENC,
            "[h264_nvenc @ 0x1] Codec not supported\n[h264_nvenc @ 0x1] No capable devices found\n",
            "encoder_refused",
        ),
        (NVENC, "[hevc_nvenc @ 0x1] B frames as references are not supported", "encoder_refused"),
        (
            NVENC,
            "[h264_nvenc @ 0x1] InitializeEncoder failed: invalid param (8): Frame Dimension less",
            "encoder_refused",
        ),
        (
            VAAPI,
            "[hevc_vaapi @ 0x1] No usable encoding entrypoint found for profile VAProfileHEVCMain",
            "encoder_refused",
        ),
        (VAAPI, "[vf#0:0 @ 0x1] Error submitting video frame to the encoder", "encoder_refused"),
        (QSV, "[av1_qsv @ 0x1] Selected ratecontrol mode is unsupported", "encoder_refused"),
        (NVENC, "[Parsed_scale_cuda_3 @ 0x1] Unsupported input format: yuv422p", "encoder_refused"),
        # not the device's doing
        (NVENC, f"[h264 @ 0x1] Invalid NAL unit size (0 > 593).\n[in#0] Invalid data found{AFTERWARDS}", None),
        (NVENC, "Error opening input: Invalid data found when processing input", None),
        (
            NVENC,
            "av_interleaved_write_frame(): No space left on device\n[h264_nvenc @ 0x1] EncodePicture failed!",
            None,
        ),
        (NVENC, "", None),
        ("libx264", "[libx264 @ 0x1] OpenEncodeSessionEx failed: out of memory (10)", None),
    ],
)
def test_what_a_device_has_to_do_with_a_failure(encoder: str, said: str, failure: str | None) -> None:
    found = gpu_failure(said, ENCODERS[encoder])
    assert (found and found.value) == failure


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (GpuFailure.BUSY, DeviceBusy),
        (GpuFailure.DEVICE_LOST, DeviceLost),
        (GpuFailure.ENCODER_REFUSED, EncoderRefused),
    ],
)
def test_each_failure_of_a_device_is_an_error_of_its_own(failure: GpuFailure, kind: type[TranscodeError]) -> None:
    error = failure.error("first\nlast words")
    assert type(error) is kind
    assert error.retryable
    assert error.details == "last words"
    assert error.code == ("device_busy" if failure is GpuFailure.BUSY else failure.value)


def test_the_end_of_the_output_has_neither_paths_nor_addresses_of_memory() -> None:
    said = "[h264 @ 0x55d0c2b1e440] Invalid NAL unit\n[out#0 @ 0x1] Error opening output /tmp/vodmill/steps/7/a.mp4\n"
    assert output_tail(said) == "[h264] Invalid NAL unit\n[out#0] Error opening output the file"
