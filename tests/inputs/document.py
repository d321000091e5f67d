"""Write docs/inputs.md from the table: python -m tests.inputs.document."""

from collections.abc import Iterator
from pathlib import Path

from tests.inputs.case import Case, Plays, Refused, Tone
from tests.inputs.table import AREAS
from transcoding.sniffing.refused import ACCEPTED

PATH = Path(__file__).parents[2] / "docs" / "inputs.md"
_INTRODUCTION = """# Inputs

Kinds of files that people upload, and what happens to each. Every row is a test (`tests/inputs`): the file is made,
transcoded by the real steps, and its outputs are decoded and measured. What a row says is what the test compares.
[The media contract](media.md) says how it is done.

A *card* is a test video: each frame shows its number, and four colors from left to right. "The card, whole" says that
every frame was found, once, in order, upright, in its colors, and every beep at its frame, to 0.02 s. Where there is
more to an output than its row says, it is what [the contract](media.md) says. Sentences about files that are no videos
also list what is accepted.
"""


def document() -> str:
    """Return the text of docs/inputs.md."""
    parts = [_INTRODUCTION]
    for area in AREAS:
        if area.CASES:
            rows = "\n".join(_row(case) for case in area.CASES)
            text = (area.__doc__ or "").strip()
            parts.append(f"## {area.TITLE}\n\n{text}\n\n| input | what happens | why |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _row(case: Case) -> str:
    cells = (case.what, " ".join(_outcome(case)), case.why)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _outcome(case: Case) -> Iterator[str]:
    if isinstance(case.outcome, Refused):
        sentence = case.outcome.sentence.removesuffix(f" (accepted are {ACCEPTED})")
        yield f"Refused (`{case.outcome.code}`): {sentence}."
        return
    yield from _played(case.outcome)
    if case.outcome.errors is not None:
        yield f"Errors of decoders: {case.outcome.errors}."
    if case.request:
        yield f"Requested: {', '.join(f'`{name}`: `{value}`' for name, value in case.request.items())}."


def _played(plays: Plays) -> Iterator[str]:
    if not plays.video:
        yield f"Audio alone, {_seconds(float(plays.seconds))} s."
    elif plays.frames:
        whole = "The card, whole" if plays.card and plays.numbers is None else "Video"
        size = f"{plays.size[0]}x{plays.size[1]}"
        frames = f"{plays.frames} frame{'s' * (plays.frames > 1)}"
        yield f"{whole}: {frames} of {size} at {plays.rate} per second, {_seconds(float(plays.seconds))} s."
    if not plays.audio:
        yield "No audio."
    elif plays.audio > 1:
        yield f"{plays.audio} audio renditions."
    if plays.beeps is not None and plays.audio:
        yield f"Beeps at {_list([_seconds(time) for time in plays.beeps])} s." if plays.beeps else "No beep."
    if plays.tones:
        yield f"Audio: {_list([_tone(tone) for tone in plays.tones])}."
    if plays.rungs:
        yield f"Rungs: {_list(list(plays.rungs))}."
    if plays.color:
        yield f"Tagged {plays.color}."
    if plays.warnings:
        yield f"Warnings: {_list([f'`{warning}`' for warning in plays.warnings])}."


def _tone(tone: Tone) -> str:
    what = f"{tone.hertz} Hz" if tone.hertz else "silence"
    where = "" if tone.channel is None else (" left", " right")[tone.channel]
    return f"{what}{where} from {_seconds(tone.start)} to {_seconds(tone.end)} s"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f}".rstrip("0").rstrip(".")


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


if __name__ == "__main__":
    PATH.write_text(document())
