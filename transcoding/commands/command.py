"""ffmpeg commands as data. `argv` alone renders them, in the one order that ffmpeg accepts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

from transcoding.encoders import HardwareDevice
from transcoding.planning.plan import EncodePlan
from transcoding.probing.decoders import WHITELIST

Options = Mapping[str, str | None]
"""Option names without the dash; None for options that take no value."""

PROTOCOLS = "file,pipe"

COPY_MEMORY_BYTES = 1 << 30
"""Memory of a run that encodes no video: a muxer's index of twelve hours, and its queues."""
_LEAST_ALLOCATION_BYTES = 64 << 20
"""Enough for buffers that do not depend on frames."""
_LARGEST_PIXEL_BYTES = 10
"""Eight, and a quarter for edges: see `decoder_bounds`."""

_NO_ADDRESSES: Mapping[str, str] = MappingProxyType({})

QUIET = {"hide_banner": None, "nostdin": None, "y": None, "v": "error", "max_error_rate": "1"}
"""Options of every run. Without `y`, ffmpeg 9 keeps an existing output file and ends with 0. Without `max_error_rate`,
it fails where two thirds of the frames that it read are damaged: those of a chunk may be, in a video that is not."""

ANONYMOUS = {"map_metadata": "-1", "map_chapters": "-1", "fflags": "+bitexact"}
"""Options that leave out location and camera, and the muxer's version, which differs between workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input file, or the name of what the runner feeds through a pipe, and the options in front of its `-i`.

    `made_up`: not a file but the description of a video that ffmpeg draws itself. `graph` is one that opens the file:
    `{}` in it stands for its name.
    """

    path: str
    options: Options = field(default_factory=dict)
    made_up: bool = False
    graph: str = ""

    @property
    def address(self) -> str:
        """The argument of `-i`; no name of a file is taken for an option or a protocol."""
        return self.path if self.made_up else f"file:{self.path}"

    def bounded(self, max_pixels: int) -> Options:
        """Return the options with the bounds of decoders, which some options override; drawn inputs have none."""
        bounds = {} if self.made_up or self.graph else decoder_bounds(max_pixels)
        return {**self.options, **bounds, **self.options}

    def opened(self, address: str) -> str:
        """Return the argument of `-i` for the file at this address."""
        return self.graph.format(in_graph(address)) if self.graph else address


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output: its maps, its options, and the name that the runner replaces by a pipe or a path."""

    target: str
    maps: tuple[str, ...]
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FfmpegCommand:
    """A whole ffmpeg command."""

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    filter_graph: str | None = None
    global_options: Options = field(default_factory=lambda: QUIET)
    memory_bytes: int = COPY_MEMORY_BYTES
    """Memory that a run may take: far more than an honest file needs."""
    device: HardwareDevice | None = None
    """The device that it runs on."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Texts that filters read, by the names of their files in the folder that the run works in."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return tuple(output.target for output in self.outputs)

    def argv(
        self,
        binary: str,
        targets: Mapping[str, str],
        *,
        progress: str,
        max_pixels: int,
        addresses: Mapping[str, str] = _NO_ADDRESSES,
    ) -> list[str]:
        """Render the command: globals, input options, inputs, graph, then maps, options and target of every output.

        `addresses` are those of inputs that are fed, or that ffmpeg finds under another name. No frame larger than
        `max_pixels` is decoded from a file.
        """
        words = [
            binary,
            *option_words({**self.global_options, **allocation_bound(max_pixels)}),
            "-progress",
            progress,
            "-stats_period",
            "0.5",
        ]
        for source in self.inputs:
            address = source.opened(addresses.get(source.path, source.address))
            words += [*option_words(source.bounded(max_pixels)), "-i", address]
        if self.filter_graph:
            words += ["-filter_complex", self.filter_graph]
        for output in self.outputs:
            for chosen in output.maps:
                words += ["-map", chosen]
            words += [*option_words(output.options), targets[output.target]]
        return words


def allocation_bound(max_pixels: int) -> dict[str, str]:
    """Return the option that bounds a single allocation: that of the largest frame, with 16 bits in four planes."""
    return {"max_alloc": str(max(_LEAST_ALLOCATION_BYTES, max_pixels * _LARGEST_PIXEL_BYTES))}


def decoder_bounds(max_pixels: int) -> dict[str, str | None]:
    """Return options for opening a file, if only to probe it: listed decoders only, and frames of the allowed size.

    A header says nothing about the frames behind it. The quarter on top is for the edges that codecs add and crop:
    1080 lines are coded as 1088.
    """
    return {"max_pixels": str(max_pixels + max_pixels // 4), "codec_whitelist": WHITELIST}


def option_words(options: Options) -> list[str]:
    return [
        word for name, value in options.items() for word in ((f"-{name}",) if value is None else (f"-{name}", value))
    ]


def demuxer_options(demuxer: str) -> dict[str, str]:
    """Return the options that force a demuxer.

    In joined transport streams, a later map of the program may name other PIDs: their packets continue the streams of
    the first one.
    """
    return {"f": demuxer, **({"merge_pmt_versions": "1"} if demuxer == "mpegts" else {})}


def source_input(plan: EncodePlan, path: str, options: Options = MappingProxyType({})) -> Input:
    """Open the source with its demuxer forced and its own clock kept."""
    opening = {"f": plan.source.demuxer, "protocol_whitelist": PROTOCOLS, "copyts": None}
    return Input(path=path, options={**opening, **options})


def seeking(time: Fraction | None) -> dict[str, str | None]:
    """Seek to the key frame at or before a time, on the source's own clock, and keep everything from there on.

    `time` is in seconds; None: from the beginning on.
    """
    return {} if time is None else {"noaccurate_seek": None, "seek_timestamp": "1", "ss": seconds_text(time)}


def on_own_clock(filter_name: str, first: Fraction) -> str:
    """Shift times so that the first video frame is at 0; whole ticks, or a coarse time base would lose a frame."""
    return f"{filter_name}=round(PTS-({ratio_text(first)})/TB)"


def fragment_options(cut: str) -> dict[str, str]:
    """CMAF fragments; an edit list in the init segment says that frames are reordered and audio is primed.

    ffmpeg 9 writes one by itself, 5.1 leaves it out of CMAF without the option.
    """
    return {"movflags": f"+cmaf+delay_moov+default_base_moof+skip_trailer+{cut}", "use_editlist": "1"}


def seconds_text(time: Fraction) -> str:
    """Seconds to the microsecond, which is all that ffmpeg reads; grid times are whole microseconds anyway."""
    return f"{float(max(time, Fraction(0))):.6f}"


def in_graph(value: str) -> str:
    """Return a value of a filter's option as a graph reads it: escaped for the option, then for the graph."""
    option = re.sub(r"([\\':])", r"\\\1", value)
    return re.sub(r"([\\'\[\],;])", r"\\\1", option)


def ratio_text(number: Fraction) -> str:
    return f"{number.numerator}/{number.denominator}"
