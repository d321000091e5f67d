"""Hardware sessions of a relay node, out of the one book that films and live streams share."""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection

from configuration import Config
from execution.lasting import lasting_thread
from gpu.devices import Device, FailureKind
from gpu.reporting import ReporterProcess
from gpu.selectors import NodeDevice, devices_live
from gpu.services import device_record_failure, device_record_success
from gpu.trials import hardware_device
from jobs.leasing.relay import RelayClaim, relay_step_end, relay_step_renew, relay_step_start
from jobs.leasing.slots import DeviceOffer
from transcoding.commands.diagnosis import GpuFailure
from transcoding.encoders import HardwareDevice, VideoEncoder, hardware_encoders
from transcoding.errors import DeviceLost
from workers.node.devices import device_known, device_offers

log = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
"""Time after which others may have the session of a relay that died."""
_RENEW_SECONDS = 5.0
_WATCH_SECONDS = 1.0
_MARGIN_SECONDS = 5.0
"""Time before the end of a lease that nobody renews at which its encoder is ended: it must be gone by then."""


_SEARCH_SECONDS = 20.0
"""Time from the first report on, after which a device that is there has been found."""


class Hardware(StrEnum):
    """State of the GPUs of a node."""

    OFF = "off"
    """The settings want none."""
    SEARCHING = "searching"
    """None was found yet, and the relay has just started."""
    NONE = "none"
    UNAVAILABLE = "unavailable"
    """There is one, and none can encode now."""
    AVAILABLE = "available"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedDevice:
    """A device that may have a session left, and the encoder to use there."""

    offer: DeviceOffer
    encoder: VideoEncoder


class DeviceSession:
    """One session of a device, until `release`. `on_lost` is called when the lease cannot be renewed."""

    def __init__(self, claim: RelayClaim, device: Device, *, since: float) -> None:
        self.claim = claim
        self.device: HardwareDevice = hardware_device(device)
        self.on_lost: Callable[[], None] = lambda: None
        self.renewed_at = since
        """Time before the request that renewed the lease last, by the monotonic clock."""
        self.lost = False


class RelayDevices:
    """The devices of this node, as the reporter beside it reports them, and the sessions that this process has."""

    def __init__(self, config: Config, *, node: str) -> None:
        self._config = config
        self._node = node
        self._sessions: set[DeviceSession] = set()
        self._lock = threading.Lock()
        self._keepers: list[threading.Thread] = []
        self._reporter = ReporterProcess(node, takes_jobs=False)
        self._searching_since: float | None = None
        self._said_none = False

    def report(self) -> None:
        """Have the process run that reports the devices. Call it with each heartbeat of the node, from any thread."""
        lasting_thread().run(self._reporter.ensure_running)
        self._searching_since = self._searching_since or time.monotonic()
        if not self._said_none and self.state() is Hardware.NONE:
            self._said_none = True
            log.warning("no GPU on this node: the CPU encodes", extra={"event": "relay_without_gpu"})

    def close(self) -> None:
        """Stop reporting. Runs that still go on keep their sessions until they end."""
        self._reporter.close()

    def state(self) -> Hardware:
        """Tell whether this node has GPUs, and whether any can encode now."""
        if not self._own():
            since = self._searching_since
            searching = since is None or time.monotonic() - since < _SEARCH_SECONDS
            return Hardware.SEARCHING if searching else Hardware.NONE
        return Hardware.AVAILABLE if self.encoders() else Hardware.UNAVAILABLE

    def encoders(self) -> frozenset[str]:
        """Return the names of the encoders that work on some device of this node now."""
        return frozenset(name for each in self._own() for name in each.usable_encoders)

    def offered(self, codec: str) -> Iterator[OfferedDevice]:
        """Yield the devices that can encode a codec and seem to have room, the best first."""
        for offer in device_offers(node=self._node, config=self._config):
            encoder = next((each for each in hardware_encoders(codec) if each.ffmpeg_name in offer.encoders), None)
            if encoder is not None:
                yield OfferedDevice(offer=offer, encoder=encoder)

    def take(self, offered: OfferedDevice, *, owner_id: UUID) -> DeviceSession | None:
        """Take a session of a device. None: it has none left. Raises DeviceLost when the node lost it."""
        since = time.monotonic()
        claim = relay_step_start(
            owner_id=owner_id,
            node=self._node,
            pid=os.getpid(),
            encoder=offered.encoder.ffmpeg_name,
            offer=offered.offer,
            lease_seconds=LEASE_SECONDS,
        )
        if claim is None:
            return None
        try:
            session = DeviceSession(claim, device_known(claim.device, node=self._node), since=since)
        except DeviceLost:
            relay_step_end(claim)
            raise
        with self._lock:
            self._sessions.add(session)
            if not self._keepers:
                for target in (self._keep, self._watch):
                    self._keepers.append(threading.Thread(target=target, name="device-leases", daemon=True))
                    self._keepers[-1].start()
        return session

    def release(self, session: DeviceSession, *, failure: GpuFailure | None, worked: bool) -> None:
        """Give a session back when its encoder is gone, and record how the device did. A second call does nothing.

        A device that was only busy is not to blame. A session that the database does not hear of ends with its lease.
        """
        with self._lock:
            if session not in self._sessions:
                return
            self._sessions.remove(session)
        try:
            relay_step_end(session.claim)
            self._record(session.claim, failure, worked=worked)
        except (DatabaseError, InterfaceError) as error:
            log.warning("session not released", extra={"event": "relay_session_unreleased", "error": str(error)})

    def _own(self) -> list[NodeDevice]:
        live = devices_live(silence_seconds=self._config.lease.node_silence_seconds)
        return [each for each in live if each.node == self._node]

    def _record(self, claim: RelayClaim, failure: GpuFailure | None, *, worked: bool) -> None:
        if failure in {GpuFailure.DEVICE_LOST, GpuFailure.ENCODER_REFUSED}:
            device_record_failure(
                node=self._node,
                uuid=claim.device,
                encoder=claim.encoder,
                kind=FailureKind(failure),
                pause_seconds=self._config.gpu.gpu_set_aside_seconds,
            )
        elif worked:
            device_record_success(node=self._node, uuid=claim.device, encoder=claim.encoder)

    def _keep(self) -> None:
        """Renew the leases, as long as the process lives."""
        while True:
            time.sleep(_RENEW_SECONDS)
            for session in self._held():
                self._renew(session)
            connection.close()

    def _watch(self) -> None:
        """End the encoders of leases that are about to end, also while the database does not answer."""
        while True:
            time.sleep(_WATCH_SECONDS)
            self._end_overdue()

    def _end_overdue(self) -> None:
        for session in self._held():
            if session.lost or time.monotonic() - session.renewed_at >= LEASE_SECONDS - _MARGIN_SECONDS:
                self._lose(session)

    def _held(self) -> list[DeviceSession]:
        with self._lock:
            return list(self._sessions)

    def _renew(self, session: DeviceSession) -> None:
        """Renew a lease. What goes wrong with one of them concerns no other one."""
        since = time.monotonic()
        try:
            live = relay_step_renew(session.claim, LEASE_SECONDS)
        except Exception:
            log.exception("session not renewed", extra={"event": "relay_session_unrenewed"})
            connection.close()
            return
        if live:
            session.renewed_at = since
        else:
            self._lose(session)

    def _lose(self, session: DeviceSession) -> None:
        """End the encoder of a session that is lost. Repeated until it ends: it may be about to start."""
        if not session.lost:
            log.warning("session lost", extra={"event": "relay_session_lost", "device": session.claim.device})
        session.lost = True
        try:
            session.on_lost()
        except Exception:
            log.exception("encoder not ended", extra={"event": "relay_session_lost"})
