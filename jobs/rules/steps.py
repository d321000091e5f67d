"""The registry of step kinds: one record a kind, read by everything that treats kinds of steps differently.

To add a kind: a member of `StepKind` with its `StepSpec`, a module `workers/steps/<kind>.py` with a function `run`, a
test, and the place that creates the step (see docs/extending.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum, auto

from jobs.rules.transitions import JobPhase
from storage.keys import INIT_NAME, M4A_NAME, MP4_NAME, SEGMENT_SUFFIX

CPU_QUEUE = "cpu"
GPU_QUEUE = "gpu"
"""Queue of the steps that hold encoder sessions of a GPU; its workers offer devices."""
BACKGROUND_QUEUE = "background"
"""Queue of the steps that nobody waits for. Workers of the queue `cpu` take one when they find nothing else there."""
TRANSFER_QUEUE = "transfer"
"""Queue of the steps that exchange files with servers of others, at their speed. They open none of them with ffmpeg."""
LIVE_QUEUE = "live"
"""Queue of the steps that encode live streams. Each holds its worker for as long as the stream lasts."""
QUEUES = (CPU_QUEUE, GPU_QUEUE, TRANSFER_QUEUE, LIVE_QUEUE, BACKGROUND_QUEUE)
SERVED_BY: Mapping[str, str] = {queue: queue for queue in QUEUES} | {BACKGROUND_QUEUE: CPU_QUEUE}
"""The queue that the workers of a queue name as theirs."""


class StepKind(StrEnum):
    JOIN = "join"
    FETCH = "fetch"
    VERIFY = "verify"
    INSPECT = "inspect"
    AUDIO = "audio"
    CHUNK = "chunk"
    LIVE = "live"
    REMUX = "remux"
    TEXT = "text"
    FINISH = "finish"
    PURGE = "purge"
    THUMBNAILS = "thumbnails"
    DELIVER = "deliver"
    RELAY = "relay"


class Stage(IntEnum):
    """The stages of a job, in order: a stage becomes ready when every step of the one before it is done."""

    ENCODE = 0
    PACKAGE = 1
    FINISH = 2


class HeadStart(Enum):
    """The steps of a kind that rank before others of their priority."""

    ALL = auto()
    """Somebody waits for each of them: to see the first frame, or for the end."""
    FIRST = auto()
    """Only the step of the beginning of the video; the others would only push other jobs back."""


class Unit(Enum):
    """The unit in which the progress of a kind is counted."""

    SEGMENT = auto()
    """`units_done` of `units_total`: segments that the step has published in all of its renditions."""
    STEP = auto()
    """Steps that are done: nothing of one counts before its end."""


class Loss(Enum):
    """Parts of a video, or of what is made of it, without which it is still good."""

    IMAGES = auto()
    TEXTS = auto()
    DELIVERY = auto()
    """The copy of a job's outputs in another bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpec:
    """The properties of one kind of step, but for the work itself, which is in `workers/steps`."""

    kind: StepKind
    queue: str = CPU_QUEUE
    """The workers that run it; a step with encoder sessions goes to `GPU_QUEUE` instead."""
    stage: Stage | None
    """Stage of the job that it belongs to. None: it belongs to a video and has no job, generation or renditions."""
    phase: JobPhase
    """The phase that its job shows from the step's beginning on."""
    head_start: HeadStart = HeadStart.ALL
    unit: Unit = Unit.STEP
    weight: int = 0
    """Its share of a job's progress, beside the weights of the other kinds that the job has; 0: none."""
    measured: bool = False
    """Its units are segments of video, and its `result` says how many pixels it encoded in how many seconds.

    Throughput, a job's speed, the time left and the count of encodes come from these kinds alone. Not for what is paced
    by its source: that says nothing about what a worker could do.
    """
    resumes: bool = False
    """An attempt continues after the published segments of the one before: the step may be stopped for its time."""
    leaves: tuple[str, ...] = ()
    """Endings of the names of objects that its attempts store; `finish` deletes those objects that no row names."""
    commands: tuple[str, ...] = ()
    """Names under which the plan document shows its runs of ffmpeg, in their order."""
    retries_forever: bool = False
    """Tried again until it is done, whatever its errors: what they say today may be mended tomorrow.

    Others give up by the retry policy: their job fails, which may be retried.
    """
    rejects_video: bool = False
    """Its failure rejects the video if the source is at fault or the step is poison. Else the waiting jobs fail.

    For steps without which no job of the video can be planned.
    """
    always_rejects_video: bool = False
    """Its failure rejects the video, whatever the reason: nobody requests the step again."""
    loss: Loss | None = None
    """Its failure, whatever the reason, is the loss of this, and nothing else.

    No video is rejected for it, and no job fails. Nor does any job wait for it.
    """
    max_failures: int | None = None
    """Failures after which it gives up, where the retry policy allows more. None: the policy decides."""
    claimed: bool = True
    """Workers claim its steps from a queue. False: a process of another kind inserts them as running and deletes them.

    Such a step only holds a slot of a device for as long as its lease is renewed. It has no queue, video or job, and is
    never ready, retried or counted as work.
    """
    once_per_video: bool = False
    """At most one step of the kind is unfinished for a video."""
    live: bool = False
    """It encodes a source that arrives while it runs: it is claimed before it is planned, under a lease of its own.

    No failure ends it: another attempt follows at once for as long as the source is there, however many failed. What
    ends it is the end of the source, in the package above this one.
    """

    def __post_init__(self) -> None:
        if self.queue not in QUEUES:
            raise ValueError(f"there is no queue {self.queue}")
        if self.measured and self.unit is not Unit.SEGMENT:
            raise ValueError(f"{self.kind}: only published segments can be measured")

    def has_head_start(self, part: int) -> bool:
        """Tell whether the step for this part of the video, counted from 0, ranks before others of its priority."""
        return self.head_start is HeadStart.ALL or part == 0


_SEGMENT_OBJECTS = (SEGMENT_SUFFIX, INIT_NAME)

_SPECS = (
    StepSpec(kind=StepKind.JOIN, stage=None, phase=JobPhase.INSPECTING, rejects_video=True),
    StepSpec(
        kind=StepKind.FETCH,
        queue=TRANSFER_QUEUE,
        stage=None,
        phase=JobPhase.INSPECTING,
        rejects_video=True,
        always_rejects_video=True,
        resumes=True,
    ),
    StepSpec(kind=StepKind.VERIFY, stage=None, phase=JobPhase.INSPECTING, rejects_video=True),
    StepSpec(kind=StepKind.INSPECT, stage=None, phase=JobPhase.INSPECTING, rejects_video=True, once_per_video=True),
    StepSpec(
        kind=StepKind.AUDIO,
        stage=Stage.ENCODE,
        phase=JobPhase.ENCODING,
        unit=Unit.SEGMENT,
        weight=10,  # audio encodes some forty times faster than video: its segments say little about the time left
        leaves=_SEGMENT_OBJECTS,
        commands=("audio",),
    ),
    StepSpec(
        kind=StepKind.CHUNK,
        stage=Stage.ENCODE,
        phase=JobPhase.ENCODING,
        head_start=HeadStart.FIRST,
        unit=Unit.SEGMENT,
        weight=90,
        measured=True,
        resumes=True,
        leaves=_SEGMENT_OBJECTS,
        commands=("analysis", "chunk"),
    ),
    StepSpec(
        kind=StepKind.LIVE,
        queue=LIVE_QUEUE,
        stage=Stage.ENCODE,
        phase=JobPhase.ENCODING,
        unit=Unit.SEGMENT,
        weight=90,
        leaves=_SEGMENT_OBJECTS,
        live=True,
    ),
    StepSpec(
        kind=StepKind.REMUX,
        stage=Stage.PACKAGE,
        phase=JobPhase.FINISHING,
        weight=5,  # copied, not encoded
        leaves=(MP4_NAME, M4A_NAME),
    ),
    StepSpec(kind=StepKind.FINISH, stage=Stage.FINISH, phase=JobPhase.FINISHING),
    # Of no priority: the owner's other work comes first, and this reads all of the source.
    StepSpec(kind=StepKind.TEXT, stage=None, phase=JobPhase.ENDED, head_start=HeadStart.FIRST, loss=Loss.TEXTS),
    # Objects of a deleted video must go, however long the store is unavailable.
    StepSpec(kind=StepKind.PURGE, stage=None, phase=JobPhase.ENDED, retries_forever=True),
    StepSpec(
        kind=StepKind.THUMBNAILS,
        queue=BACKGROUND_QUEUE,
        stage=None,
        phase=JobPhase.ENDED,
        loss=Loss.IMAGES,
        max_failures=3,
    ),
    StepSpec(
        kind=StepKind.DELIVER,
        queue=TRANSFER_QUEUE,
        stage=None,
        phase=JobPhase.ENDED,
        head_start=HeadStart.FIRST,
        loss=Loss.DELIVERY,
        resumes=True,
    ),
    StepSpec(kind=StepKind.RELAY, stage=None, phase=JobPhase.ENDED, claimed=False),
)

STEPS: Mapping[StepKind, StepSpec] = {spec.kind: spec for spec in _SPECS}


def kinds_where(holds: Callable[[StepSpec], object]) -> tuple[StepKind, ...]:
    """Name the kinds whose record has a property, in the registry's order."""
    return tuple(spec.kind for spec in _SPECS if holds(spec))


STAGES = tuple(tuple(spec.kind for spec in _SPECS if spec.stage is stage) for stage in Stage)
"""The kinds of each stage, in the order of the stages."""
LAST_STAGE = STAGES[-1]
CLAIMED_KINDS = kinds_where(lambda spec: spec.claimed)
UNCLAIMED_KINDS = kinds_where(lambda spec: not spec.claimed)
VIDEO_KINDS = kinds_where(lambda spec: spec.stage is None and spec.claimed)
"""Kinds of steps that serve a video and no job."""
LIVE_KINDS = kinds_where(lambda spec: spec.live)
MEASURED_KINDS = kinds_where(lambda spec: spec.measured)
COMMANDS = tuple(name for spec in _SPECS for name in spec.commands)
"""Every name that a plan document shows a run of ffmpeg under."""
DECODER_ERRORS = "decoder_errors"
"""Key in the result of a step that decodes the source: how many errors its decoders reported."""

LEFT_OBJECTS = tuple(sorted({name for spec in _SPECS for name in spec.leaves}))
"""Endings of the names of all objects that steps store under a generation."""
