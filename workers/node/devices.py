"""Devices of a GPU worker: offers for claims, the device of a claim, and the outcome of attempts on it."""

from collections.abc import Iterator

from configuration import Config
from gpu.devices import Device, FailureKind
from gpu.selection import ranked
from gpu.selectors import NodeDevice, candidates, devices_known, devices_live, devices_sharing_limit
from gpu.services import device_record_failure, device_record_success
from jobs.leasing.claim import Claim
from jobs.leasing.slots import DeviceOffer, sessions_used
from jobs.planning.routing import blames_device, encoder_of, requirements_met
from jobs.rules.retry import Failure
from transcoding.errors import DeviceLost


def device_offers(*, node: str, config: Config) -> Iterator[DeviceOffer]:
    """Yield the node's devices that may take work, the best first; on the next one other steps may fit."""
    live = devices_live(silence_seconds=config.lease.node_silence_seconds)
    own = {each.device.uuid: each for each in live if each.node == node}
    found = candidates(live, node=node, used=sessions_used())
    fit = ranked(found, pinned=config.gpu.gpu_device_index, min_free_mb=config.gpu.gpu_min_free_mb)
    return (_offer(own[each.uuid], live) for each in fit)


def _offer(device: NodeDevice, live: list[NodeDevice]) -> DeviceOffer:
    return DeviceOffer(
        uuid=device.device.uuid,
        slots=device.slots,
        encoders=requirements_met(device.capabilities, device.device.index),
        machine=device.machine,
        system_slots=device.system_slots,
        sharing=devices_sharing_limit(device, live),
    )


def device_of(claim: Claim, *, node: str) -> Device | None:
    """Return the device that a claim is for; None: it needs none. Raises DeviceLost when its node lost it."""
    return device_known(claim.device, node=node) if claim.device else None


def device_known(uuid: str, *, node: str) -> Device:
    """Return a device of a node. Raises DeviceLost when its node lost it."""
    for each in devices_known():
        if (each.node, each.device.uuid) == (node, uuid):
            return each.device
    raise DeviceLost(f"{uuid} is not there any more")


def record_failure(claim: Claim, failure: Failure, *, node: str, config: Config) -> None:
    """Count a failure against the claim's device, if the device is to blame for it."""
    if claim.device and blames_device(failure):
        device_record_failure(
            node=node,
            uuid=claim.device,
            encoder=encoder_of(claim.encoder),
            kind=FailureKind(failure.code),
            pause_seconds=config.gpu.gpu_set_aside_seconds,
        )


def record_success(claim: Claim, *, node: str) -> None:
    """Record that the claim's device has done its step."""
    if claim.device:
        device_record_success(node=node, uuid=claim.device, encoder=encoder_of(claim.encoder))
