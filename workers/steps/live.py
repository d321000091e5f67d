"""Encode a broadcast while it arrives: an endless step, which another worker may go on with at any segment."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from typing import Any

from jobs.leasing.steps import StepWork
from livestreams.services.attempts import Control
from livestreams.services.endings import NOTHING_RECEIVED
from livestreams.states import RefusalCode
from livestreams.wiring import push_reach
from outbound.rtmp import PlayReader, play
from storage.keys import run_prefix
from transcoding.containers.live_segments import LivePart
from transcoding.errors import InputRejected
from transcoding.flv.facts import IncomingFacts
from transcoding.flv.feed import Feed
from transcoding.flv.tags import FlvTag
from transcoding.planning.latency import Latency
from transcoding.planning.livestream import AUTO, LadderRequest, plan_livestream
from transcoding.planning.plan import EncodePlan
from videos.models import Rendition
from videos.runs import RunFacts
from workers.lease.control import StepControl
from workers.live.expiry import Expiry
from workers.live.feeding import Feeding
from workers.live.incoming import Incoming
from workers.live.intake import Intake
from workers.live.push import Pushes
from workers.live.rates import RateWatch
from workers.live.reading import StreamReader
from workers.live.register import Register
from workers.live.session import Hooks, Publish, SegmentPublisher, Session
from workers.live.uploads import PatientStore
from workers.live.watch import Watch
from workers.steps.publisher import Destination, Publisher
from workers.tools import Tools

NOT_ON_GPU = "hardware_unavailable"
"""Code of a fallback to the CPU."""
_PAUSE_SECONDS = 0.05
_CONNECT_SECONDS = 3.0
_SILENCE_SECONDS = 75.0
"""Silence of an ingest server, which pings, after which the connection to it counts as broken."""
_SLOW_SECONDS = 30.0
"""Time for which a stream is said to be slow after frames were dropped."""
_UPLOADS = 16
"""Segments of a rendition that wait for the store: half a minute. Then what arrives is dropped."""


def run(work: StepWork, tools: Tools, control: StepControl) -> None:
    """Encode a broadcast until its source has ended."""
    Attempt(work, tools, control).run()


class _Refused(Exception):
    """The publisher sends what its stream may not have, or nothing that can be encoded."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Attempt:
    """One attempt at a broadcast, put together."""

    def __init__(self, work: StepWork, tools: Tools, control: StepControl) -> None:
        self._work = work
        self._tools = tools
        self._control = control
        self._register = Register(work.claim, control)
        self._intake = Intake()
        self._feed = Feed()
        self._feeding = Feeding(self._feed, self._intake)
        self._watch = Watch(self._register.begin(), self._register, control, self._intake, health=self._health)
        self._watch.on_over = self._feeding.close
        self._pushes = Pushes(push_reach().of(work.video.owner_id))
        self._reader = StreamReader(self._connect, self._intake, self._pushes.offer)
        self._generation = work.generation
        self._renditions: Sequence[Rendition] = work.renditions
        self._facts: IncomingFacts | None = None
        self._session: Session | None = None
        self._expiry: Expiry | None = None
        self._rate = RateWatch()

    def run(self) -> None:
        """Read, encode and publish until the broadcast is over. Raises what ends the attempt before that."""
        try:
            with self._pushes, self._reader:
                frames = self._broadcast()
        except _Refused as refused:
            self._register.fail(refused.code, str(refused))
        else:
            self._register.close(frames, {"restarts": self._session.restarts if self._session else 0})
        self._announce()

    def _broadcast(self) -> int:
        """Do it all, and return the frames of the whole broadcast. Raises _Refused."""
        while not (self._reader.waits or self._watch.over):
            self._watch.tick()
            time.sleep(_PAUSE_SECONDS)
        self._register.ready()
        try:
            plan = self._generation.encode_plan if self._generation else self._plan()
        except InputRejected as error:
            raise _Refused(error.code, str(error)) from error
        return self._encode(plan)

    def _plan(self) -> EncodePlan:
        """Plan the broadcast by what arrives first. Raises _Refused, InputRejected."""
        incoming = Incoming(self._intake)
        while (facts := incoming.look()) is None:
            self._watch.tick()
            if self._watch.over:
                raise _Refused(NOTHING_RECEIVED, "The broadcast ended before its first frame arrived.")
        self._facts = facts
        broadcast = self._watch.broadcast
        _check_limits(facts, broadcast)
        plan = plan_livestream(
            facts,
            LadderRequest.from_json(broadcast.ladder),
            latency=Latency(broadcast.latency),
            preset=self._tools.config.encode.x264_preset,
            mp4=broadcast.mp4 and broadcast.record,
        )
        self._generation, self._renditions = self._register.plan(plan)
        for arrival in incoming.arrivals:
            if isinstance(arrival.item, FlvTag):
                self._feed.learn(arrival.item)
        self._feeding.put_back(incoming.arrivals)
        return self._generation.encode_plan  # that of an attempt before, if there was one

    def _encode(self, plan: EncodePlan) -> int:
        """Encode to the end. Returns the frames of the broadcast."""
        with ExitStack() as stack:
            if not self._watch.broadcast.record:
                self._expiry = Expiry(
                    plan.grid,
                    dvr_seconds=self._watch.broadcast.dvr_seconds,
                    forget=self._register.expire,
                    store=self._tools.store,
                )
                stack.callback(self._expiry.close)
            self._session = Session(
                plan,
                self._feeding,
                ffmpeg=self._tools.ffmpeg,
                hooks=Hooks(
                    tick=self._tick,
                    published=self._publish,
                    period=self._register.period,
                    part=self._show_part,
                ),
                open_publisher=self._publisher,
                stop=self._control,
                first_segment=self._register.claim.units_done,
                threads=self._tools.config.execution.ffmpeg_threads,
            )
            return self._session.run()

    def _tick(self) -> None:
        self._watch.tick()
        self._pushes.follow(self._watch.broadcast.push)
        limit = self._watch.broadcast.max_bitrate
        if (rate := self._rate.excess(self._intake, limit)) is not None:
            raise _Refused(RefusalCode.BITRATE_EXCEEDED, f"{rate} b/s are sent; {limit} are allowed.")
        if self._expiry and self._session:
            self._expiry.look(self._session.published)

    def _publish(self, runs: Sequence[RunFacts], segments: int) -> None:
        self._register.publish(runs, segments)
        self._announce()

    def _announce(self) -> None:
        """Wake players that wait for something new."""
        if self._generation:
            self._tools.parts.announce(self._generation.id)

    def _show_part(self, rendition: str, part: LivePart) -> None:
        """Show players a part of a segment that is not whole yet."""
        if self._generation:
            self._tools.parts.put(
                self._generation.id,
                rendition,
                part.number,
                part.index,
                part.data,
                attempt=self._register.claim.attempt,
                ticks=part.duration,
                independent=part.independent,
            )

    def _publisher(self, first_segment: int, publish: Publish) -> AbstractContextManager[SegmentPublisher]:
        claim, generation = self._register.claim, self._generation
        if generation is None:
            raise ValueError("a broadcast is published by its plan")
        return Publisher(
            store=PatientStore(self._tools.store, self._control),
            destinations={
                rendition.name: Destination(
                    rendition_id=rendition.id,
                    prefix=run_prefix(
                        self._work.video.id, generation.number, rendition.name, claim.step_id, claim.attempt
                    ),
                    init_key=rendition.init_key,
                    init_sha256=rendition.init_sha256,
                )
                for rendition in self._renditions
            },
            first_segment=first_segment,
            publish=publish,
            every_seconds=0.0,
            moved=lambda _: None,
            parallel=self._tools.config.storage.parallel_parts,
            max_in_flight=_UPLOADS,
        )

    def _connect(self) -> PlayReader:
        """Connect to the ingest server, with a token that is valid now."""
        broadcast = self._watch.broadcast
        address, _, app = broadcast.ingest_address.partition("/")
        return play(
            address,
            app,
            broadcast.ingest_name,
            args={"token": broadcast.token},
            connect_seconds=_CONNECT_SECONDS,
            silence_seconds=_SILENCE_SECONDS,
        )

    def _health(self) -> Mapping[str, Any]:
        health, session, facts = self._intake.health(), self._session, self._facts
        sent = _sent(facts) if facts else {}
        return {
            **asdict(health),
            **sent,
            **(encoded_with(self._generation.encode_plan, self._watch.broadcast.ladder) if self._generation else {}),
            "silent_seconds": round(self._watch.silent_seconds(), 2),
            "dropped_frames": health.dropped_frames + self._intake.dropped_frames,
            "encoder_too_slow": self._intake.dropped_within(_SLOW_SECONDS),
            "behind_seconds": round(self._intake.behind_seconds(), 2),
            "restarts": session.restarts if session else 0,
            "reconnects": self._reader.connections,
            "push": self._pushes.states(),
            "renditions": [rendition.name for rendition in self._renditions],
        }


def _sent(facts: IncomingFacts) -> Mapping[str, object]:
    """Describe what the publisher sends."""
    return {
        "width": facts.width,
        "height": facts.height,
        "video_codec": facts.video_codec,
        "audio_codec": "aac" if facts.audio_sample_rate else None,
    }


def encoded_with(plan: EncodePlan, ladder: Mapping[str, Any]) -> Mapping[str, object]:
    """Name the encoder, and say why it is not the requested one: no live stream is encoded on a GPU."""
    encoder, requested = plan.encodings[0].encoder_name, LadderRequest.from_json(ladder)
    as_requested = requested.encoder == AUTO or encoder == requested.encoders[0].ffmpeg_name
    detail = f"{requested.encoder} needs a GPU, and live streams are encoded on the CPU: {encoder}."
    return {"encoder": encoder, "fallback": None if as_requested else {"code": NOT_ON_GPU, "detail": detail}}


def _check_limits(facts: IncomingFacts, broadcast: Control) -> None:
    """Compare what is announced with what is allowed. Raises _Refused."""
    lines = min(facts.width, facts.height)
    if lines > broadcast.max_height:
        raise _Refused(RefusalCode.RESOLUTION_EXCEEDED, f"{lines} lines are sent; {broadcast.max_height} are allowed.")
    rate = (facts.video_bitrate or 0) + (facts.audio_bitrate or 0)
    if rate > broadcast.max_bitrate:
        raise _Refused(RefusalCode.BITRATE_EXCEEDED, f"{rate} b/s are announced; {broadcast.max_bitrate} are allowed.")
