import json
import logging
import time
from urllib.parse import quote
from uuid import UUID

import pytest

from observability.logs import JsonFormatter, bound


def line(message: str, *args: object, **extra: object) -> dict[str, object]:
    record = logging.getLogger("jobs").makeRecord("jobs", logging.INFO, "f", 1, message, args, None, extra=extra)
    parsed: dict[str, object] = json.loads(JsonFormatter().format(record))
    return parsed


def test_a_line_has_time_level_logger_and_message() -> None:
    found = line("step %s done", 3)
    assert (found["level"], found["logger"], found["message"]) == ("info", "jobs", "step 3 done")
    assert str(found["time"]).endswith("+00:00")


def test_extra_fields_stand_beside_the_message() -> None:
    assert line("done", speed=2.5)["speed"] == 2.5


def test_values_that_json_does_not_know_are_written_as_text() -> None:
    assert line("done", job=UUID(int=1))["job"] == "00000000-0000-0000-0000-000000000001"


def test_bound_fields_are_on_every_line_inside() -> None:
    with bound(job="j"), bound(step="s"):
        inside = line("done")
    assert (inside["job"], inside["step"]) == ("j", "s")
    assert "job" not in line("done")


def test_bound_fields_do_not_outlive_an_error() -> None:
    with pytest.raises(ValueError, match="no"), bound(job="j"):
        raise ValueError("no")
    assert "job" not in line("done")


def test_a_traceback_is_part_of_the_line() -> None:
    error = ValueError("bad luck")
    record = logging.makeLogRecord({"msg": "failed", "exc_info": (type(error), error, None)})
    assert "ValueError: bad luck" in json.loads(JsonFormatter().format(record))["exception"]


def test_a_playback_token_is_hidden() -> None:
    """A reader of the log could play the video with it."""
    found = line("Not Found: %s", "/play/eyJ2:1x-_Y/3/master.m3u8", url="/play/secret", request="<GET /play/secret>")
    assert found["message"] == "Not Found: /play/…/3/master.m3u8"
    assert found["url"] == "/play/…"
    assert "request" not in found


def test_what_follows_a_token_stays_readable() -> None:
    assert line('at "/play/secret"\nand on')["message"] == 'at "/play/…"\nand on'


def test_a_token_in_a_traceback_is_hidden() -> None:
    error = ValueError("/play/secret/1/index.m3u8")
    record = logging.makeLogRecord({"msg": "failed", "exc_info": (type(error), error, None)})
    found = JsonFormatter().format(record)
    assert "secret" not in found
    assert json.loads(found)["exception"].endswith("/play/…/1/index.m3u8")


TOKEN = "3fa85f6457174562b3fc2c963f66afa6-6979f1c0.jqR3Zb0l4HfYk2v1gkXw5nq-8sQdT_uE7cJpMZrVxyA"


@pytest.mark.parametrize(
    "text",
    [
        f"https://video.example/play/{TOKEN}/1/master.m3u8",
        f"/vod/play/{TOKEN}/1/master.m3u8",
        f"/play//{TOKEN}/1/master.m3u8",
        f"/api/login?next=/play/{TOKEN}&a=b",
        f"?url={quote(f'/play/{TOKEN}/1/0.m4s', safe='')}&a=b",
        quote(quote(quote(f"/play/{TOKEN}", safe=""), safe=""), safe=""),
        "/%70lay/" + "".join(f"%{ord(letter):02x}" for letter in TOKEN) + "/1",
        f"/%70l%61y/{TOKEN}",
        f"Referer: https://player.example/?src=https%3A%2F%2Fvideo.example%2Fplay%2F{TOKEN}%2F1%2Fmaster.m3u8",
        f"token={TOKEN}",
        f"/play/{TOKEN}".upper(),
        "".join(f"%25%32%35%32%35{ord(letter):02x}" for letter in f"/play/{TOKEN}"),
    ],
)
def test_a_token_is_hidden_however_it_is_written(text: str) -> None:
    shown = str(line("GET %s", text, url=text))
    for part in (TOKEN[:32], TOKEN[-20:]):
        assert part not in shown
        assert part.upper() not in shown
        assert quote(part, safe="") not in shown
        assert "".join(f"%{ord(letter):02x}" for letter in part) not in shown


def test_decoding_for_a_token_breaks_no_line() -> None:
    text = f"%22%0A%5C/play/{TOKEN}%22%0A{{"
    assert line("%s", text)["message"] == '"\n\\/play/…"\n{'


def test_encoded_text_without_a_token_stays_as_it_is() -> None:
    text = "/api/v1/videos?external_id=a%20b%2Fc%25 100 % done"
    assert line("%s", text)["message"] == text


def test_a_long_line_takes_no_quadratic_time() -> None:
    started = time.process_time()
    line("%s", "a%" * 100_000)
    line("%s", "%25" * 100_000)
    assert time.process_time() - started < 20, "some milliseconds, unless it is quadratic"
