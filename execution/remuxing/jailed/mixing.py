"""Mixing down and resampling: whatever a decoder gives becomes stereo of 48 kHz, also when it changes in between."""

import gc

from av.audio.frame import AudioFrame
from av.filter import Graph

from execution.remuxing.jailed.clocks import RATE

FORMAT, LAYOUT = "fltp", "stereo"
_PLAIN = (FORMAT, LAYOUT, RATE)
_CHANGES_BEFORE_COLLECTION = 16
"""Graphs refer to themselves: their memory is free when Python has looked for such circles only."""


class Mixer:
    """Converts the frames of one stream."""

    def __init__(self) -> None:
        self._shape = _PLAIN
        self._graph: Graph | None = None
        self._changes = 0

    def mix(self, frame: AudioFrame) -> list[AudioFrame]:
        """Convert a frame. Some of its samples may come with the next one. Raises FFmpegError, ValueError."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        left: list[AudioFrame] = []
        if shape != self._shape:
            left = self.finish()
            self._change(shape)
        if self._graph is None:
            return [*left, frame]
        self._graph.push(frame)
        return [*left, *self._pulled(self._graph)]

    def finish(self) -> list[AudioFrame]:
        """Return what is left."""
        graph, self._graph, self._shape = self._graph, None, _PLAIN
        if graph is None:
            return []
        graph.push(None)
        return self._pulled(graph)

    def _change(self, shape: tuple[str, str, int]) -> None:
        self._changes += 1
        if self._changes % _CHANGES_BEFORE_COLLECTION == 0:
            gc.collect()
        if shape != _PLAIN:
            self._graph = _graph(*shape)
        self._shape = shape

    def _pulled(self, graph: Graph) -> list[AudioFrame]:
        frames: list[AudioFrame] = []
        while True:
            try:
                frame = graph.pull()
            except (BlockingIOError, EOFError):  # no more now, or at all
                return frames
            if isinstance(frame, AudioFrame):
                frames.append(frame)


def _graph(sample_format: str, layout: str, rate: int) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add("abuffer", sample_fmt=sample_format, channel_layout=layout, sample_rate=str(rate))
    target = graph.add("aformat", sample_fmts=FORMAT, channel_layouts=LAYOUT, sample_rates=str(RATE))
    sink = graph.add("abuffersink")
    source.link_to(target)
    target.link_to(sink)
    graph.configure()
    return graph
