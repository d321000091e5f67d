"""The golden encodes in a real browser: by hls.js, and by the browser's own parser without a player's corrections."""

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.ffmpeg.cases import PLAYED
from tests.ffmpeg.conftest import Goldens
from tests.ffmpeg.golden import Golden, publish
from transcoding.manifests.names import INIT_NAME, segment_name

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
PAGES = Path(__file__).parent.parent / "browser"
ALIKE = {
    "to_av1_double", "b_frames", "film", "ntsc_open_gop", "quarter_rate", "standing", "odd_rate", "transport_stream",
    "mpeg4_in_avi", "vp9_in_webm", "late_edit", "late_audio", "tail_of_five_frames",
}  # fmt: skip
"""Cases whose outputs are to a player what those of another case are."""
EACH = [pytest.param(name, marks=[pytest.mark.thorough] if name in ALIKE else []) for name in PLAYED]
MICROSECONDS = 2e-6
"""Chromium counts in whole microseconds; frames of 1001/30000 s are none."""
SPEEDS = (8, 4, 1, 0.5)
"""Tried one after another: a gap stalls at every speed, and always at the same position; a busy machine does not."""
SAME_POSITION = 0.2
"""Seconds between two waits for the same gap, and between a gap and the seam or end that it is at."""
RUN_UP_SECONDS = 1.0
"""Playback begins this long before what is looked at: a busy machine waits for its decoder wherever playback begins."""
STALLED = "bufferStalledError"
"""hls.js' name for a wait, which is judged by its position."""
TOO_SHORT_FOR_HLS_JS = {"one_frame"}
"""hls.js ends a stream when Chromium shows a frame, and Chromium shows a single frame when the stream has ended."""


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing about requests."""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder that is served beside the player's page, and its address."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "browser").symlink_to(PAGES)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def player(browser: Browser, web: tuple[Path, str]) -> Iterator[Page]:
    """The player's page, freshly opened."""
    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{web[1]}/browser/player.html")
    yield page
    page.close()


@pytest.fixture
def published(request: pytest.FixtureRequest, golden: Goldens, web: tuple[Path, str]) -> Golden:
    """The golden encode of the test's case, under `/<case>/`."""
    name: str = request.getfixturevalue("name")
    golden_case = golden(name)
    if not (web[0] / name).exists():
        publish(golden_case, web[0] / name)
    return golden_case


@pytest.mark.parametrize("name", [case for case in EACH if case.values[0] not in TOO_SHORT_FOR_HLS_JS])
def test_hls_js_buffers_all_of_it_and_plays_over_the_seams_to_the_end(
    name: str, published: Golden, player: Page
) -> None:
    _hold_whole(player.evaluate("load", f"/{name}/master.m3u8"), published)
    length = float(published.plan.grid.duration)
    seams = [float(published.plan.grid.start(chunk.first_segment)) for chunk in published.plan.chunks[1:]]
    if seams:
        assert _plays(player, over=seams, until=seams[-1] + 0.5) == {"waits": [], "problems": [], "ended": False}
    assert _plays(player, over=[length], until=length + 1) == {"waits": [], "problems": [], "ended": True}


@pytest.mark.parametrize("name", EACH)
def test_chromium_itself_sees_one_range_from_0_to_the_end(name: str, published: Golden, player: Page) -> None:
    plan = published.plan
    best = plan.renditions[0]
    tracks = [_track(name, published, best.name, f'video/mp4; codecs="{best.codecs}"')]
    tracks += [_track(name, published, track.name, f'audio/mp4; codecs="{track.codecs}"') for track in plan.audio]
    _hold_whole(player.evaluate("append", tracks), published)


def _track(case: str, golden_case: Golden, rendition: str, kind: str) -> dict[str, object]:
    names = [INIT_NAME, *(segment_name(segment.number) for segment in golden_case.renditions[rendition].segments)]
    return {"type": kind, "files": [f"/{case}/{rendition}/{file}" for file in names]}


def _hold_whole(found: dict[str, Any], golden_case: Golden) -> None:
    """One range, from exactly 0 to the end of the last frame: in the element, and in each source buffer."""
    length = float(golden_case.plan.grid.duration)
    assert found["problems"] == []
    assert found["duration"] == pytest.approx(length, abs=MICROSECONDS)
    assert set(found["each"]) == ({"video", "audio"} if golden_case.plan.audio else {"video"})
    for ranges in (found["video"], *found["each"].values()):
        assert len(ranges) == 1
        assert ranges[0][0] == 0
        assert ranges[0][1] == pytest.approx(length, abs=MICROSECONDS)


def _plays(player: Page, *, over: Sequence[float], until: float) -> dict[str, Any]:
    """Playback over some positions, with those of them at which it waited at every speed that was tried."""
    start = max(0.0, over[0] - RUN_UP_SECONDS)
    waits = list(over)
    for speed in SPEEDS:
        played: dict[str, Any] = player.evaluate(
            "([start, end, speed]) => play(start, end, speed)", [start, until, speed]
        )
        waits = [position for position in waits if _near(position, played["waits"])]
        if not waits:
            break
    return played | {
        "waits": waits,
        "problems": [reported for reported in played["problems"] if STALLED not in reported],
    }


def _near(position: float, others: list[float]) -> bool:
    return any(abs(position - other) < SAME_POSITION for other in others)
