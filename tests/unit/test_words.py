"""A linter of our own: the field's vocabulary, and docstrings that begin with a verb or a noun.

Write one `Word` per banned word, with its replacement. `names` is searched in identifiers and file names, `text` in
everything else too: comments, strings, pages. Both see `KEPT_ANSWERS`, `KeptAnswers` and `kept_answers` as
`kept answers`.
"""

import ast
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = (
    "access", "api", "benchmarks", "configuration", "coordination", "embedded", "events", "execution", "gpu", "jobs",
    "livestreams", "observability", "operations", "outbound", "relay", "status_grpc", "storage", "transcoder_site",
    "transcoding", "videos", "webui", "workers",
)  # fmt: skip
FOLDERS = (*PACKAGES, "docs", "k8s", "requirements", "scripts", "tests", ".ci")
SUFFIXES = {".py", ".md", ".html", ".css", ".js", ".mjs", ".sh", ".yaml", ".yml", ".toml", ".in", ".example", ""}
SKIPPED = {"node_modules", "vendor", "__pycache__", "generated"} | {"migrations"}  # they name the columns of their time
THIS = "tests/unit/test_words.py"


@dataclass(frozen=True, slots=True)
class Word:
    """A word that the project does not use. `within` limits it to one folder."""

    use: str
    names: str = ""
    text: str = ""
    within: str = ""


WORDS = (
    Word("cached", names=r"(?<!segments\s)\bkept\b", text=r"\bkept (answers?|responses?)\b|\banswers? (are|is) kept\b"),
    Word("again, render again, plan again, restart", text=r"\banew\b"),
    Word("rendered, created, entry", names=r"^made$|\bremade\b"),
    Word("reported, distinguished (for told apart)", text=r"\btold\b"),
    Word("report, publish", names=r"\b(tell|tells|telling)\b"),
    Word("requested", names=r"\basked\b|\baskers?\b", text=r"\b(asks?|asked|asking) for\b|\baskers?\b"),
    Word("requested, preferred, filter", names=r"\bwanted\b", text=r"\bwish(es|ed)?\b"),
    Word(
        "unavailable",
        names=r"\baway\b",
        text=r"\b(is|are|was|were|be|been|being|stays?|stayed|remains?) away\b",
    ),
    Word(
        "URL; an address is a network address",
        names=r"\b(playback|delivery|video|asset|relative|signed|segment|manifest|output) address(es)?\b",
        text=r"\b(relative|stable|signed|presigned|playback|webhook|download) address(es)?\b",
    ),
    Word(
        "frame (of a video), video, image, screenshot",
        text=r"(?<!attached\s)\bpictures?\b(?! (parameter|order|type))",
    ),
    Word("audio", text=r"\bsound(s|track|tracks)?\b"),
    Word(
        "progressive MP4; a movie box of ISO BMFF may say movie",
        text=r"\bmovies?\b(?! (box|header|fragment|extends|timescale))",
    ),
    Word("max_", names=r"\bmost\b(?! common\b)"),
    Word("min_", names=r"\bfewest\b"),
    Word(
        "consumer probe, acknowledged, not consuming",
        names=r"\b(hear|hears|heard)\b",
        text=r"\b(hearing|deaf|unheard)\b",
    ),
    Word(
        "last activity, liveness",
        names=r"\b(life|vital)\b",
        text=r"\bpulses?\b|\blife signs?\b|\bsigns? of life\b",
    ),
    Word("attempt without progress", text=r"\bbarren\b"),
    Word(
        "verify, verified, verification",
        names=r"\b(proofs?|prove|proved)\b",
        text=r"\b(proven|proved|proves|proving)\b",
    ),
    Word(
        "retry a write, record an outcome, finish a delivery, commit horizon, debounce: whichever it is",
        text=r"\b(settle[sd]?|settling|settlement|unsettled)\b",
    ),
    Word("stderr line, decoder error, report an error", text=r"\bcomplain(s|ed|ing|ts?)?\b"),
    Word(
        "reclaim (an expired lease), release (one's own)",
        text=r"\b(take[sn]?|took|taking|hand|hands|handed|handing|give[sn]?|gave|giving) back\b",
    ),
    Word("resume, claim", text=r"\b(take[sn]?|took|taking) up\b(?! (space|room|memory))"),
    Word("cancel, pause, resume, apply the requested state", names=r"\bjob (stop|halt)\b|\bgo on\b|\bhalt\b"),
    Word("apply, follow", text=r"\bobey(s|ed|ing)?\b"),
    Word("slot, index, position", names=r"(?<!\bin\s)\bplaces?\b(?!\sin\sline)"),
    Word("upload pool (lanes of jobs stay)", names=r"\blanes?\b", within="storage/"),
    Word("histogram", names=r"\bspreads?\b"),
    Word("observe (a measurement), record", names=r"\bnoted?\b"),
    Word("requirement", names=r"\bneeds?$"),
    Word("abort the connection", text=r"\bsever(s|ed|ing)?\b"),
    Word("idempotency key, idempotent", names=r"^once$", within="api/"),
    Word("stall timeout", names=r"\bpatience\b"),
    Word("reset", text=r"\bexcuse[sd]?\b"),
    Word("pipeline client", text=r"\bmills?\b"),
    Word("subpackages", text=r"\brooms\b"),
    Word("serializers.py", names=r"\brepresentations py\b"),
    Word(
        "abandoned (leases and devices are lost, generations abandoned)",
        names=r"\b(generation (lose|lost)|lost generations?|lose generation)\b",
        text=r"\blost generations?\b|\bgenerations? (is|are|was|were|gets?|got) lost\b",
    ),
    Word("started", text=r"\b(begun|began|unbegun)\b"),
    Word("invalidate", text=r"\bleave[s]? word\b|\bleft word\b"),
    Word("snapshot", text=r"\bphotograph(s|ed)?\b"),
)

RIDDLES = re.compile(r"(?:What|Whether|How|Where|Who|Whom|Whose|When|Why|Which|That)\b")
"""A docstring begins with a verb or a noun: `Return the open steps`, and not `What is left to do`."""
QUOTED_RIDDLES = re.compile(rf"[\"'][\s\\]*{RIDDLES.pattern}")

ALLOWED: frozenset[tuple[str, str, str]] = frozenset(
    {
        ("tests/integration/videos/test_migrations.py", "lost generations", "the name before the migration"),
        ("embedded/client.py", "tell", "the method of io"),
        ("tests/ffmpeg/test_inspecting.py", "picture", "an option of ffmpeg"),
        ("tests/ffmpeg/test_stub_drivers.py", "picture", "ffmpeg's own message"),
        ("tests/unit/transcoding/test_diagnosis.py", "picture", "ffmpeg's own message"),
        ("transcoder_site/menu.py", "movie", "an icon of the theme"),
        ("transcoder_site/settings.py", "movie", "an icon of the theme"),
        ("transcoding/commands/diagnosis.py", "picture", "ffmpeg's own message"),
        ("transcoding/commands/texts.py", "movie", "ffmpeg's name of a filter"),
        ("tests/unit/transcoding/test_commands.py", "hearing", "ffmpeg's name of a disposition"),
        ("transcoding/commands/probe.py", "hearing", "ffmpeg's name of a disposition"),
        ("transcoding/commands/remux.py", "hearing", "ffmpeg's name of a disposition"),
        ("tests/unit/transcoding/test_manifests.py", "sound", "a value of HLS"),
        ("transcoding/manifests/hls/master.py", "sound", "a value of HLS"),
        ("tests/integration/videos/test_texts.py", "sound", "a value of HLS"),
        ("tests/integration/workers/test_texts.py", "hearing", "ffmpeg's name of a disposition"),
        ("transcoding/probing/media.py", "hearing", "ffmpeg's name of a disposition"),
    }
)
"""Right uses: (file, the words as they stand there, the reason)."""


def unit(path: str) -> str:
    """Name the part of the project that is cleaned in one go: a package with its tests, or a folder."""
    parts = path.split("/")
    if path == "docs/openapi.yaml":
        return path
    if len(parts) == 1:
        return "project"
    if parts[0] != "tests" or len(parts) == 2:
        return parts[0]
    if parts[1] in ("unit", "integration") and len(parts) > 3:
        return parts[2] if parts[2] in PACKAGES else f"tests/{parts[1]}/{parts[2]}"
    return f"tests/{parts[1]}"


def plain(text: str) -> str:
    """Split identifiers into lower-case words; newlines stay, for the line numbers."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", text).lower()


def pattern(words: str) -> re.Pattern[str]:
    """Let a phrase go over the end of a line, with the comment sign of the next one between."""
    return re.compile(words.replace(" ", r"[\s#]+")) if words else re.compile(r"(?!)")


TEXTS = [(word, pattern(word.text)) for word in WORDS]
NAMES = [(word, pattern(word.names)) for word in WORDS]


@cache
def banned_in(name: str) -> tuple[Word, ...]:
    """List the words that an identifier must not have; the name of a test is prose, which `TEXTS` are for."""
    return () if name.startswith("test ") else tuple(word for word, names in NAMES if names.search(name))


def identifiers(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and words of each identifier: Python's names, or in pages the words with an underscore."""
    if path.suffix == ".py":
        with path.open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                if token.type == tokenize.NAME:
                    yield token.start[0], plain(token.string).strip()
    else:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for name in re.findall(r"\w*[A-Za-z]_[A-Za-z]\w*", line):
                yield number, plain(name).strip()


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each docstring, those under constants and fields too."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def findings(file: str) -> Iterator[str]:
    """Yield one line for each banned word of a file."""
    path = ROOT / file
    file_name = plain(re.sub(r"[/.]", " ", file))
    content = path.read_text()
    text = f"{plain(content)}\n{file_name}"
    names = [(1, file_name)]
    if any(banned_in(plain(name).strip()) for name in set(re.findall(r"\w+", content))):
        names += identifiers(path)  # to read a file as Python takes long
    found = {
        (number, name, word.use) for number, name in names for word in banned_in(name) if file.startswith(word.within)
    }
    found |= {
        (text.count("\n", 0, hit.start()) + 1, hit.group(), word.use)
        for word, words in TEXTS
        if file.startswith(word.within)
        for hit in words.finditer(text)
    }
    if path.suffix == ".py" and QUOTED_RIDDLES.search(content):
        found |= {
            (number, first.group(), "a verb or a noun first")
            for number, text in docstrings(path)
            if (first := RIDDLES.match(text.strip()))
        }
    allowed = {said for where, said, _ in ALLOWED if where == file}
    yield from (f"{file}:{line}: {said!r}: {use}" for line, said, use in sorted(found) if said not in allowed)


def files() -> Iterator[str]:
    for path in (*ROOT.iterdir(), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))):
        file = path.relative_to(ROOT).as_posix()
        if (
            path.is_file()
            and path.suffix in SUFFIXES
            and not SKIPPED & set(path.parts)
            and file not in (THIS, "LICENSE", ".git")
        ):
            yield file


@cache
def by_unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(files()):
        found[unit(file)] += findings(file)
    return dict(found)


UNITS = sorted({unit(file) for file in files()})


@pytest.mark.parametrize("name", UNITS)
def test_each_part_of_the_project_is_written_in_the_words_of_the_field(name: str) -> None:
    found = by_unit()[name]

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("words", "as_name"),
    [("KeptAnswers", True), ("KEPT_SECONDS", True), ("kept\n# answers", False), ("Job_halt", True), ("is away", False)],
)
def test_a_banned_word_is_found_in_every_spelling(words: str, *, as_name: bool) -> None:
    assert any(found.search(plain(words)) for _, found in (NAMES if as_name else TEXTS))


@pytest.mark.parametrize("words", ["kept for a week", "right away", "wanted by", "attached picture", "movie fragment"])
def test_right_english_stays_possible(words: str) -> None:
    assert not any(found.search(plain(words)) for _, found in TEXTS)
