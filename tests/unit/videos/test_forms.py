import pytest
from rest_framework.exceptions import ValidationError

from api.problems import Problem
from videos.uploads.form import MAX_FILENAME, VideoForm, clean_filename

TYPE = "multipart/form-data; boundary=b0undary"


def a_part(disposition: str, data: bytes = b"data") -> bytes:
    head = f"--b0undary\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: video/mp4\r\n\r\n"
    return head.encode() + data + b"\r\n"


def a_form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b0undary--\r\n"


VIDEO = 'name="video"; filename="clip.mp4"'


def read(body: bytes, *, step: int = 10_000, content_type: str | None = TYPE) -> tuple[VideoForm, bytes]:
    form = VideoForm(content_type)
    pieces = (body[start : start + step] for start in range(0, len(body), step))
    data = b"".join(bytes(view) for piece in pieces for view in form.feed(piece))
    form.close()
    return form, data


def refused(body: bytes, *, content_type: str | None = TYPE) -> Problem:
    with pytest.raises(Problem) as caught:
        read(body, content_type=content_type)
    return caught.value


def field_of(problem: Problem) -> str:
    return problem.errors[0].field


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize(
    "data", [b"", b"x", b"\r\n--b0undary", b"\r\n--b0undar\r\n--b0und", b"a\r\n" * 500, bytes(range(256))]
)
def test_the_file_comes_out_as_it_went_in_whatever_the_pieces(data: bytes, step: int) -> None:
    if data == b"\r\n--b0undary":
        data += b"x"  # the boundary itself may not be in the data
    form, arrived = read(a_form(a_part(VIDEO, data)), step=step)
    assert arrived == data
    assert form.filename == "clip.mp4"


def test_what_comes_before_and_after_the_form_is_no_file() -> None:
    _, arrived = read(b"\r\n" + a_form(a_part(VIDEO)) + b"epilogue")
    assert arrived == b"data"


@pytest.mark.parametrize(
    "content_type", [None, "", "application/json", "multipart/mixed; boundary=b0undary", "video/mp4"]
)
def test_another_media_type_is_refused(content_type: str | None) -> None:
    assert refused(b"", content_type=content_type).status == 415


def test_a_media_type_may_be_written_in_capitals() -> None:
    _, arrived = read(a_form(a_part(VIDEO)), content_type='Multipart/Form-Data; boundary="b0undary"')
    assert arrived == b"data"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not a form",
        a_part(VIDEO),
        a_part(VIDEO) + b"--b0undary",
        b"--other\r\n\r\n",
        b"--b0undary\r\nContent-Disposition form-data\r\n\r\n",
        b"--b0undary\r\nX: " + b"y" * 10_000 + b"\r\n\r\n",
        b"--b0undary\r\n" + b"X: y\r\n" * 20 + b"\r\n",
    ],
)
def test_a_broken_form_is_malformed(body: bytes) -> None:
    problem = refused(body)
    assert (problem.status, problem.code) == (400, "malformed_form")


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'x' * 300}"],
)
def test_a_form_needs_a_boundary(content_type: str) -> None:
    assert refused(a_form(a_part(VIDEO)), content_type=content_type).code == "malformed_form"


def test_a_form_without_the_file_names_the_field() -> None:
    problem = refused(a_form())
    assert (problem.status, problem.code, field_of(problem)) == (422, "required", "video")


@pytest.mark.parametrize("parts", [(a_part('name="file"; filename="a.mp4"'),), (a_part(VIDEO), a_part('name="file"'))])
def test_another_field_is_named(parts: tuple[bytes, ...]) -> None:
    problem = refused(a_form(*parts))
    assert (problem.status, problem.code, field_of(problem)) == (422, "unknown_field", "file")


EXTERNAL_ID = a_part('name="external_id"', "Straße 17".encode())
METADATA = a_part('name="metadata"', b'{"a": [1, null]}')


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize(
    "parts",
    [
        (EXTERNAL_ID, METADATA, a_part(VIDEO)),
        (a_part(VIDEO), METADATA, EXTERNAL_ID),
        (METADATA, a_part(VIDEO), EXTERNAL_ID),
    ],
)
def test_what_is_said_of_the_file_may_come_before_and_after_it(parts: tuple[bytes, ...], step: int) -> None:
    form, arrived = read(a_form(*parts), step=step)
    assert arrived == b"data"
    assert form.fields == {"external_id": "Straße 17", "metadata": {"a": [1, None]}}


@pytest.mark.parametrize(
    ("name", "data"),
    [("external_id", b"x" * 1021), ("external_id", b"\xff"), ("metadata", b"{"), ("metadata", b'"' + b"x" * 17_000)],
)
def test_what_is_said_of_the_file_is_small_and_well_formed(name: str, data: bytes) -> None:
    problem = refused(a_form(a_part(f'name="{name}"', data)))
    assert (problem.status, field_of(problem)) == (422, name)


@pytest.mark.parametrize(
    ("name", "data"),
    [("external_id", b"x" * 256), ("metadata", b"[]"), ("metadata", b'{"x": "\\u0000"}')],
)
def test_it_is_held_to_the_same_rules_as_in_json(name: str, data: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        read(a_form(a_part(f'name="{name}"', data)))
    assert list(caught.value.detail) == [name]


def test_a_thing_is_said_once() -> None:
    assert field_of(refused(a_form(EXTERNAL_ID, EXTERNAL_ID))) == "external_id"


def test_a_part_without_a_name_is_no_field() -> None:
    assert refused(a_form(b"--b0undary\r\n\r\ndata\r\n")).code == "unknown_field"


def test_the_field_must_be_a_file() -> None:
    problem = refused(a_form(a_part('name="video"')))
    assert (problem.status, field_of(problem)) == (422, "video")


def test_two_files_are_one_too_many() -> None:
    problem = refused(a_form(a_part(VIDEO), a_part(VIDEO)))
    assert (problem.status, field_of(problem)) == (422, "video")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("clip.mp4", "clip.mp4"),
        ("-y.mp4", "-y.mp4"),
        ("a:b.mp4", "a:b.mp4"),
        ("x%03d.mp4", "x%03d.mp4"),
        ("$(id).mp4", "$(id).mp4"),
        ("it's.mp4", "it's.mp4"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("a\0b\n\x1b[31m.mp4", "ab[31m.mp4"),
        ("שלום\u202e.mp4", "שלום\u202e.mp4"),
        ("日本.mp4", "日本.mp4"),
        ("", "unnamed"),
        ("\0", "unnamed"),
        ("a" * 300 + ".mp4", "a" * (MAX_FILENAME - 4) + ".mp4"),
        ("a" * 300, "a" * MAX_FILENAME),
        ("a." + "b" * 300, "a." + "b" * (MAX_FILENAME - 2)),
        ("." + "b" * 300, "." + "b" * (MAX_FILENAME - 1)),
    ],
)
def test_a_name_is_kept_as_text(raw: str, expected: str) -> None:
    assert clean_filename(raw.encode()) == expected


def test_a_name_that_is_no_utf_8_is_kept_as_far_as_it_goes() -> None:
    assert clean_filename(b"caf\xe9.mp4") == "caf\ufffd.mp4"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ('filename="a b;c.mp4"', "a b;c.mp4"),
        ('filename="\\"q\\".mp4"', '"q".mp4'),
        ("filename=bare.mp4", "bare.mp4"),
        ('filename="日本.mp4"', "日本.mp4"),
    ],
)
def test_names_are_read_as_browsers_send_them(sent: str, expected: str) -> None:
    form, _ = read(a_form(a_part(f'name="video"; {sent}')))
    assert form.filename == expected
