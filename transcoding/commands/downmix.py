"""The mixes of a source's channels, as ffmpeg's `pan` has them.

Stereo is what ITU-R BS.775 adds up to: the center and the channels beside and behind the listener go to their sides at
-3 dB, one behind in the middle to both at -6 dB. Low-frequency effects are left out: speakers for stereo cannot play
them, and whatever matters is in other channels, too.

No mix can clip: where several channels add up to one, each factor is divided by the sum of those whose channels are
there ("<" in `pan`), so that all of them at full scale are full scale. Channels that are not there count nothing, so
one rule is for all layouts.
"""

from collections.abc import Mapping
from types import MappingProxyType

from transcoding.planning.tracks import AudioRendition, Mix

Gains = Mapping[str, float]

_WITHOUT_MIX = MappingProxyType({1: "mono", 2: "stereo", 6: "5.1"})
_MINUS_3_DB, _MINUS_6_DB = 0.707107, 0.5
_SIDES = ("L", "R")


def _stereo(side: str) -> Gains:
    """Return the gains of one side of stereo: `side` is L or R."""
    ahead = (f"F{side}", f"F{side}C", f"W{side}", f"D{side}")
    around = ("FC", f"S{side}", f"B{side}", f"SD{side}", f"TF{side}", f"TS{side}", f"TB{side}")
    both = ("BC", "TC", "TFC", "TBC")
    return {
        **dict.fromkeys(ahead, 1.0),
        **dict.fromkeys(around, _MINUS_3_DB),
        **dict.fromkeys(both, _MINUS_6_DB),
    }


def _front(side: str) -> Gains:
    return {**dict.fromkeys((f"F{side}", f"F{side}C", f"W{side}", f"D{side}"), 1.0), f"TF{side}": _MINUS_3_DB}


def _back(side: str) -> Gains:
    behind = dict.fromkeys((f"B{side}", f"S{side}", f"SD{side}"), 1.0)
    return {**behind, **dict.fromkeys((f"TB{side}", f"TS{side}", "BC", "TBC"), _MINUS_3_DB)}


_MIXES: Mapping[Mix, tuple[str, Mapping[str, Gains]]] = MappingProxyType(
    {
        Mix.STEREO: ("stereo", {f"F{side}": _stereo(side) for side in _SIDES}),
        Mix.SURROUND: (
            "5.1",
            {
                **{f"F{side}": _front(side) for side in _SIDES},
                "FC": {"FC": 1.0, "TFC": _MINUS_3_DB},
                "LFE": {"LFE": 1.0},
                **{f"B{side}": _back(side) for side in _SIDES},
            },
        ),
    }
)
"""The layout that a mix makes, and of each of its channels the gains of those of the source."""


def mix_filters(track: AudioRendition, sample_format: str) -> str:
    """Return the filters that give a track the channels of its rendition, in this sample format."""
    if track.mix is Mix.NONE:
        return f"aformat=sample_fmts={sample_format}:channel_layouts={_WITHOUT_MIX[track.channels]}"
    layout, channels = _MIXES[track.mix]
    sums = "|".join(f"{name}<{_sum(gains)}" for name, gains in channels.items())
    return f"pan={layout}|{sums},aformat=sample_fmts={sample_format}:channel_layouts={layout}"


def _sum(gains: Gains) -> str:
    return "+".join(name if gain == 1 else f"{gain:g}*{name}" for name, gain in gains.items())
