"""Jobs on GPUs: planned in groups, claimed with slots, done on the CPU where no device can."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.db.models.functions import Now

from api.problems import Problem
from configuration import GpuConfig, RetryConfig
from events.models import Event
from gpu.devices import Device, DeviceKind, DeviceState, FailureKind, Reading, SlotLimits, Verdict
from gpu.models import DeviceReport
from gpu.services import DeviceDescription, device_record_failure, device_report
from jobs.dispatching.device_watch import devices_watch
from jobs.leasing.claim import Claim
from jobs.leasing.leases import step_postpone
from jobs.leasing.slots import DeviceOffer, sessions_used
from jobs.leasing.steps import job_mark_playable, step_complete, step_publish
from jobs.lifecycle.failures import leases_reclaim, step_fail
from jobs.lifecycle.outcomes import job_complete
from jobs.lifecycle.services import job_cancel, job_force_cpu, job_retry
from jobs.models import Job, Step
from jobs.planning.routing import blames_device, requirements_met
from jobs.reports.previews import StepPage, job_plan_document, job_preview
from jobs.rules.policy import JobPolicy
from jobs.rules.retry import Failure, failure_of
from jobs.rules.steps import StepKind
from jobs.rules.transitions import JobPhase, StepState
from tests.rows import a_job, a_policy, a_run, a_video, claim_or_none, expire, units_of
from transcoding.errors import DeviceLost, EncoderRefused, InputRejected, RateExceeded, VerificationFailed
from transcoding.planning.plan import EncodePlan
from videos.models import Generation, Rendition, Video
from videos.states import GenerationState, VideoState

pytestmark = pytest.mark.django_db

H264 = "h264_nvenc"
LOST = failure_of(DeviceLost("CUDA_ERROR_UNKNOWN"))
REFUSED = failure_of(EncoderRefused("invalid param"))
ALL = StepPage(offset=0, limit=100)
POLICY = replace(a_policy(retry=RetryConfig(retry_base_seconds=0.0, retry_max_seconds=0.0)), silence_seconds=20.0)


def a_gpu(
    index: int = 0, *, slots: int = 8, encoders: Sequence[str] = (H264, "hevc_nvenc"), node: str = "gpu-node"
) -> None:
    """A device of a node of its own that has verified these encoders."""
    device = Device(index=index, uuid=f"GPU-{index}", name="L4", kind=DeviceKind.NVIDIA, driver="570.1")
    verdicts = {
        name: Verdict(encoder=name, available=True, reason="", driver="570.1", ffmpeg_version="9") for name in encoders
    }
    state = DeviceState(device=device, reading=Reading(memory_free_mb=8000))
    described = DeviceDescription(state=state, limits=SlotLimits(device=slots), verdicts=verdicts)
    device_report(node=f"{node}-{index}", machine="m", descriptions=[described])


def a_gpu_job(
    *,
    slots: int = 8,
    policy: JobPolicy = POLICY,
    width: int = 1920,
    height: int = 1080,
    **request: Any,  # noqa: ANN401
) -> Job:
    """Two chunks of two segments, in four renditions and audio."""
    a_gpu(slots=slots)
    return a_job(a_video(seconds=16, width=width, height=height), policy=policy, **request)


def offer(index: int = 0, slots: int = 8) -> DeviceOffer:
    encoders = requirements_met(frozenset({H264, "hevc_nvenc"}), index)
    return DeviceOffer(uuid=f"GPU-{index}", slots=slots, encoders=encoders)


def gpu_claim(index: int = 0, slots: int = 8) -> Claim:
    claim = claim_or_none(queue="gpu", offer=offer(index, slots))
    assert claim is not None
    return claim


def chunks(job: Job) -> list[Step]:
    job.refresh_from_db()
    return list(Step.objects.filter(generation=job.generation_id, kind=StepKind.CHUNK).order_by("ordinal"))


def renditions_of(claim: Claim) -> list[Rendition]:
    job = Job.objects.select_related("generation").get(id=claim.job_id)  # type: ignore[misc]
    assert job.generation is not None
    runs = list(EncodePlan.from_json(job.generation.plan).chunk_runs())
    names = ["audio"] if claim.kind is StepKind.AUDIO else runs[claim.ordinal].group
    return list(Rendition.objects.filter(generation=claim.generation_id, name__in=names))


def publish(claim: Claim) -> None:
    first = claim.payload.get("first_segment", 0)
    runs = [
        a_run(rendition, first, units_of(claim), prefix=f"{rendition.name}/{claim.step_id}-a{claim.attempt}/")
        for rendition in renditions_of(claim)
    ]
    step_publish(claim=claim, runs=runs, units_done=units_of(claim))


def carry_out(claim: Claim) -> None:
    publish(claim)
    job_mark_playable(claim=claim)
    step_complete(claim=claim, result={"device_index": 0} if claim.device else {})


def carry_out_all(job: Job) -> None:
    """Do everything that is ready, on the CPU and on the GPU, up to the job's end."""
    from jobs.leasing.steps import step_begin

    def claims() -> Iterator[Claim]:
        while claim := claim_or_none() or claim_or_none(queue="gpu", offer=offer()):
            yield claim

    for claim in claims():
        if claim.kind is StepKind.PURGE:
            Step.objects.filter(id=claim.step_id).update(state=StepState.DONE, lease_expires_at=None)
            continue
        step_begin(claim=claim)
        if claim.kind is StepKind.FINISH:
            job_complete(claim=claim, verified=[], result={})
        else:
            carry_out(claim)
    job.refresh_from_db()


def events(job: Job) -> list[str]:
    return list(Event.objects.filter(job_id=job.id).order_by("seq").values_list("type", flat=True))


def test_a_chunk_has_a_step_for_each_group_of_renditions_that_a_device_can_encode_at_once() -> None:
    job = a_gpu_job(slots=3)
    steps = chunks(job)
    assert [(step.queue, step.encoder, step.sessions) for step in steps] == [("gpu", H264, 2)] * 4
    assert [step.payload["first_segment"] for step in steps] == [0, 0, 2, 2]
    assert job.open_steps == 5
    leads = [step.lead_seconds for step in steps]
    assert leads[0] == leads[1] > leads[2], "all of the first chunk has its head start: people wait for every rendition"
    audio = Step.objects.get(generation=job.generation_id, kind=StepKind.AUDIO)
    assert (audio.queue, audio.encoder, audio.sessions) == ("cpu", "", 0)


def test_each_codec_has_a_device_or_the_cpu_of_its_own() -> None:
    job = a_gpu_job(codecs=["av1", "hevc", "h264"], resolutions=["720p", "360p"])
    steps = chunks(job)
    assert [(step.queue, step.encoder, step.sessions) for step in steps] == [
        *[("gpu", H264, 2)] * 2,
        *[("cpu", "", 0)] * 2,
        *[("gpu", "hevc_nvenc", 2)] * 2,
    ]
    leads = [step.lead_seconds for step in steps]
    assert leads[0] > leads[1] == max(leads[1:]), "nobody waits for the beginning of another codec"
    carry_out_all(job)
    assert (job.state, job.metadata["gpu_fallback"], job.metadata["fallback_reason"]) == (
        "completed",
        True,
        "gpu_unavailable",
    )
    assert (job.metadata["gpu_enabled"], job.metadata["gpu_codec"]) == (True, "h264_nvenc, hevc_nvenc")


def test_a_job_is_playable_without_its_later_codecs() -> None:
    job = a_gpu_job(codecs=["h264", "hevc"], resolution="360p")
    Job.objects.update(state="processing")
    audio, first = claim_or_none(), gpu_claim()
    assert audio is not None
    carry_out(audio)
    carry_out(first)
    job.refresh_from_db()
    assert job.playable_at is not None
    assert first.ordinal == 0


def test_a_device_that_is_required_must_be_there_for_every_codec() -> None:
    with pytest.raises(Problem, match="no GPU encodes vp9"):
        a_gpu_job(codecs=["h264", "vp9"], gpu="require")
    job = a_gpu_job(codecs=["h264", "av1"], gpu="require")
    assert (job.phase, job.generation_id) == (JobPhase.WAITING, None)


def test_a_device_that_fails_takes_all_codecs_to_the_cpu() -> None:
    job = a_gpu_job(codecs=["h264", "hevc"], resolution="360p")
    job_force_cpu(owner=job.owner, job_id=job.id, policy=POLICY)
    assert [(step.queue, step.encoder) for step in chunks(job)] == [("cpu", "")] * 4


def test_a_dry_run_says_what_each_codec_costs() -> None:
    a_gpu()
    video = a_video(seconds=16, width=640, height=360)
    request = {"codecs": ["h264", "av1"]}
    document = job_preview(owner=video.owner, video_id=video.id, request=request, policy=POLICY, page=ALL)
    found = document["encodings"]
    assert [(each["codec"], each["encoder"], each["device"], each["renditions"]) for each in found] == [  # type: ignore[attr-defined]
        ("h264", H264, "upload", ["360p"]),
        ("av1", "libsvtav1", "cpu", ["360p-av1"]),
    ]
    assert sum(each["work_seconds"] for each in found) == pytest.approx(document["budget"]["job_seconds"], abs=0.2)  # type: ignore[index, attr-defined]
    because = [each["because"] for each in document["reasons"] if each["choice"] == "device"]  # type: ignore[attr-defined]
    assert because[0].startswith("h264_nvenc runs on a device")
    assert because[1].startswith("a GPU was preferred, but no live GPU")


def test_a_job_in_groups_is_done_like_any_other() -> None:
    job = a_gpu_job(slots=3)
    carry_out_all(job)
    assert job.state == "completed"
    assert events(job) == ["job.queued", "job.planned", "job.started", "job.playable", "job.completed"]
    assert set(job.metadata) == {
        "gpu_enabled",
        "gpu_device",
        "gpu_codec",
        "processing_time_seconds",
        "processing_speed",
    }
    assert (job.metadata["gpu_enabled"], job.metadata["gpu_device"], job.metadata["gpu_codec"]) == (True, 0, H264)


def test_a_generation_is_playable_when_all_groups_have_started() -> None:
    job = a_gpu_job(slots=3)
    Step.objects.filter(kind=StepKind.AUDIO).update(units_done=0)
    audio = claim_or_none()
    assert audio is not None
    Job.objects.update(state="processing")
    carry_out(audio)
    first, second = gpu_claim(), gpu_claim()
    assert {claim.ordinal for claim in (first, second)} == {0, 1}
    carry_out(first)
    job.refresh_from_db()
    assert job.playable_at is None
    carry_out(second)
    job.refresh_from_db()
    assert job.playable_at is not None


@pytest.mark.parametrize("request_", [{"codec": "libx264"}, {"preset": "cpu"}, {"two_pass": True}, {"gpu": "never"}])
def test_what_is_asked_of_the_cpu_is_done_there(request_: dict[str, Any]) -> None:
    job = a_gpu_job(**request_)
    assert {step.queue for step in chunks(job)} == {"cpu"}
    carry_out_all(job)
    assert set(job.metadata) == {
        "gpu_enabled",
        "gpu_fallback",
        "cpu_codec",
        "processing_time_seconds",
        "processing_speed",
    }
    assert (job.metadata["gpu_enabled"], job.metadata["gpu_fallback"]) == (False, False)
    assert job.metadata["cpu_codec"] == "libx264"


def test_an_installation_can_prefer_the_cpu() -> None:
    never = replace(POLICY, gpu=GpuConfig(gpu_policy="never"))
    assert {step.queue for step in chunks(a_gpu_job(policy=never))} == {"cpu"}
    assert {step.queue for step in chunks(a_gpu_job(policy=never, gpu="prefer"))} == {"gpu"}
    off = replace(POLICY, gpu=GpuConfig(enable_gpu=False))
    assert {step.queue for step in chunks(a_gpu_job(policy=off, gpu="prefer"))} == {"cpu"}


def test_without_a_gpu_a_job_that_prefers_one_goes_to_the_cpu_and_says_why() -> None:
    job = a_job(policy=POLICY)
    assert {step.queue for step in chunks(job)} == {"cpu"}
    assert job.metadata == {"gpu_fallback": True, "fallback_reason": "no_gpu"}
    a_gpu(encoders=["hevc_nvenc"])
    assert a_job(policy=POLICY).metadata["fallback_reason"] == "gpu_unavailable"


def test_a_job_that_requires_a_gpu_waits_for_one() -> None:
    job = a_job(policy=POLICY, gpu="require")
    assert (job.state, job.phase, job.generation_id) == ("queued", JobPhase.WAITING, None)
    devices_watch(policy=POLICY)
    a_gpu()
    devices_watch(policy=POLICY)
    job.refresh_from_db()
    assert job.generation_id is not None
    assert job.waiting_since is None
    assert {step.queue for step in chunks(job)} == {"gpu"}
    assert events(job) == ["job.queued", "job.waiting", "job.planned"]


def test_a_job_that_requires_a_gpu_fails_when_none_comes() -> None:
    job = a_job(policy=POLICY, gpu="require")
    wait(job, 299)
    devices_watch(policy=POLICY)
    job.refresh_from_db()
    assert job.state == "queued"
    wait(job, 301)
    devices_watch(policy=POLICY)
    job.refresh_from_db()
    assert (job.state, job.error_code, job.error_retryable) == ("failed", "gpu_unavailable", True)
    a_gpu()
    job_retry(owner=job.owner, job_id=job.id, policy=POLICY)
    carry_out_all(job)
    assert job.state == "completed"


def wait(job: Job, seconds: int) -> None:
    Job.objects.filter(id=job.id).update(waiting_since=Now() - timedelta(seconds=seconds))


def test_an_index_that_no_node_has_is_refused() -> None:
    a_gpu(1)
    video = a_video()
    for gpu in ("prefer", "require"):
        with pytest.raises(Problem) as refusal:
            a_job(video, policy=POLICY, gpu=gpu, gpu_device=7)
        assert (refusal.value.status, refusal.value.errors[0].field) == (422, "gpu_device")
        assert refusal.value.errors[0].detail == "must be one of: -1, 1"
    assert Job.objects.count() == 0


def test_a_job_that_names_a_device_is_encoded_on_that_one_only() -> None:
    a_gpu(0)
    a_gpu(1)
    a_job(policy=POLICY, gpu="require", gpu_device=1)
    assert claim_or_none(queue="gpu", offer=offer(0)) is None
    assert gpu_claim(1).device == "GPU-1"


def set_aside(index: int = 0) -> None:
    device_record_failure(
        node=f"gpu-node-{index}", uuid=f"GPU-{index}", encoder=H264, kind=FailureKind.DEVICE_LOST, pause_seconds=60
    )


@pytest.mark.parametrize("failure", [LOST, REFUSED])
def test_a_device_that_dies_in_mid_encode_ends_in_a_completed_job_of_the_cpu(failure: Failure) -> None:
    job = a_gpu_job()
    old = job.generation
    assert old is not None
    first = gpu_claim()
    Job.objects.update(state="processing", started_at=Now())
    publish(first)
    set_aside()
    assert step_fail(claim=first, failure=failure, policy=POLICY) is StepState.FAILED
    job.refresh_from_db()
    assert {step.queue for step in chunks(job)} == {"cpu"}
    assert job.state == "processing"
    assert not Step.objects.filter(generation=old, state__in=["ready", "delayed", "running", "waiting"]).exists()
    old.refresh_from_db()
    assert old.state == GenerationState.ABANDONED
    assert Step.objects.filter(kind=StepKind.PURGE, payload__prefix__endswith="/g1/").exists()
    carry_out_all(job)
    assert job.state == "completed"
    assert {name: job.metadata[name] for name in ("gpu_enabled", "gpu_fallback", "cpu_codec", "fallback_reason")} == {
        "gpu_enabled": False,
        "gpu_fallback": True,
        "cpu_codec": "libx264",
        "fallback_reason": failure.code,
    }
    assert "gpu_codec" not in job.metadata
    assert Video.objects.get(id=job.video_id).current_generation_id == job.generation_id


def test_another_device_that_can_goes_before_the_cpu() -> None:
    job = a_gpu_job()
    a_gpu(1)
    claim = gpu_claim(0)
    set_aside(0)
    assert step_fail(claim=claim, failure=LOST, policy=POLICY) is StepState.READY
    assert gpu_claim(1).step_id == claim.step_id
    assert Generation.objects.filter(job_id=job.id).count() == 1


def test_a_device_with_too_few_sessions_is_no_other_device() -> None:
    job = a_gpu_job()
    a_gpu(1, slots=1)
    claim = gpu_claim(0)
    set_aside(0)
    step_fail(claim=claim, failure=LOST, policy=POLICY)
    assert {step.queue for step in chunks(job)} == {"cpu"}


@pytest.mark.parametrize("failure", [failure_of(VerificationFailed("a key frame is missing"))])
def test_what_fails_again_and_again_on_a_gpu_is_done_on_the_cpu(failure: Failure) -> None:
    job = a_gpu_job()
    for _ in range(2):
        assert step_fail(claim=gpu_claim(), failure=failure, policy=POLICY) is StepState.READY
    step_fail(claim=gpu_claim(), failure=failure, policy=POLICY)
    assert {step.queue for step in chunks(job)} == {"cpu"}
    assert job.metadata["fallback_reason"] == "verification_failed"


@pytest.mark.parametrize("gpu", ["prefer", "require"])
def test_a_device_that_breaks_the_promised_rate_is_not_asked_again_and_not_set_aside(gpu: str) -> None:
    job = a_gpu_job(gpu=gpu)
    claim = gpu_claim()
    failure = failure_of(RateExceeded("720p: segment 3 has 9000000 b/s, the playlist promises 5150000"))
    assert not blames_device(failure)
    assert step_fail(claim=claim, failure=failure, policy=POLICY) is StepState.FAILED
    job.refresh_from_db()
    if gpu == "prefer":
        assert {step.queue for step in chunks(job)} == {"cpu"}
        carry_out_all(job)
        assert (job.state, job.metadata["fallback_reason"]) == ("completed", "rate_exceeded")
    else:
        assert (job.state, job.error_code, job.error_retryable) == ("failed", "rate_exceeded", False)
        assert job.error_detail == failure.detail
    assert Video.objects.get(id=job.video_id).state == VideoState.READY, "the source is not to blame"


def test_a_step_that_keeps_killing_gpu_workers_is_done_on_the_cpu() -> None:
    job = a_gpu_job()
    policy = replace(POLICY, retry=replace(POLICY.retry, poison_attempts=2))
    for _ in range(2):
        expire(gpu_claim().step_id)
        leases_reclaim(policy=policy)
    assert {step.queue for step in chunks(job)} == {"cpu"}
    assert job.metadata["fallback_reason"] == "poison"


def test_the_inputs_own_fault_is_no_reason_to_fall_back() -> None:
    job = a_gpu_job()
    step_fail(claim=gpu_claim(), failure=failure_of(InputRejected("broken")), policy=POLICY)
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "input_rejected")


def test_a_job_that_requires_a_gpu_fails_with_its_reason_instead() -> None:
    job = a_gpu_job(gpu="require")
    for _ in range(3):
        step_fail(claim=gpu_claim(), failure=REFUSED, policy=POLICY)
    job.refresh_from_db()
    assert (job.state, job.error_code, job.error_retryable) == ("failed", "encoder_refused", True)


@pytest.mark.parametrize(("gpu", "state", "queue"), [("prefer", "queued", "cpu"), ("require", "failed", "gpu")])
def test_when_all_its_devices_fall_silent_a_job_does_not_wait_for_ever(gpu: str, state: str, queue: str) -> None:
    job = a_gpu_job(gpu=gpu)
    DeviceReport.objects.update(reported_at=F("reported_at") - timedelta(seconds=30))
    devices_watch(policy=POLICY)
    devices_watch(policy=POLICY)
    assert {step.queue for step in chunks(job)} == {"gpu"}, "a node that starts again is waited for"
    wait(job, 301)
    devices_watch(policy=POLICY)
    assert {step.queue for step in chunks(job)} == {queue}
    assert job.state == state
    assert job.metadata.get("fallback_reason") == ("gpu_unavailable" if gpu == "prefer" else None)


def test_a_job_whose_devices_are_lost_between_two_attempts_says_what_the_first_one_failed_of() -> None:
    job = a_gpu_job()
    step_fail(claim=gpu_claim(), failure=LOST, policy=POLICY)
    assert {step.queue for step in chunks(job)} == {"gpu"}, "another device is left"
    DeviceReport.objects.update(reported_at=F("reported_at") - timedelta(seconds=30))
    devices_watch(policy=POLICY)
    wait(job, 301)
    devices_watch(policy=POLICY)
    assert {step.queue for step in chunks(job)} == {"cpu"}
    assert job.metadata["fallback_reason"] == "device_lost"


def test_a_device_that_comes_back_is_used() -> None:
    job = a_gpu_job()
    DeviceReport.objects.update(reported_at=F("reported_at") - timedelta(seconds=30))
    devices_watch(policy=POLICY)
    a_gpu()
    wait(job, 301)
    devices_watch(policy=POLICY)
    job.refresh_from_db()
    assert job.waiting_since is None
    assert {step.queue for step in chunks(job)} == {"gpu"}


def test_a_busy_device_is_no_failure() -> None:
    job = a_gpu_job()
    for _ in range(6):
        claim = gpu_claim()
        assert step_postpone(claim=claim, seconds=60, code="device_busy", detail="out of memory (10)")
        step = Step.objects.get(id=claim.step_id)
        assert (step.state, step.failures, step.attempts_without_progress) == (StepState.DELAYED, 0, 0)
        assert sessions_used() == {}
        Step.objects.filter(id=step.id).update(state=StepState.READY, not_before=None)
    job.refresh_from_db()
    assert job.state == "queued"


def test_devices_that_are_always_busy_with_others_are_not_waited_for_for_ever() -> None:
    job = a_gpu_job()
    step_postpone(claim=gpu_claim(), seconds=60, code="device_busy", detail="")
    devices_watch(policy=POLICY)
    wait(job, 299)
    devices_watch(policy=POLICY)
    assert {step.queue for step in chunks(job)} == {"gpu"}
    wait(job, 301)
    devices_watch(policy=POLICY)
    assert {step.queue for step in chunks(job)} == {"cpu"}
    assert job.metadata["fallback_reason"] == "device_busy"


def test_players_keep_the_beginning_that_they_have_until_there_is_another() -> None:
    job = a_gpu_job()
    Job.objects.update(state="processing", started_at=Now())
    old = job.generation
    assert old is not None
    audio, first = claim_or_none(), gpu_claim()
    assert audio is not None
    carry_out(audio)
    carry_out(first)
    job.refresh_from_db()
    playable_at = job.playable_at
    assert playable_at is not None
    set_aside()
    step_fail(claim=gpu_claim(), failure=LOST, policy=POLICY)
    old.refresh_from_db()
    video = Video.objects.get(id=job.video_id)
    assert (old.state, video.current_generation_id) == (GenerationState.BUILDING, old.id)
    carry_out_all(job)
    old.refresh_from_db()
    video.refresh_from_db()
    assert (old.state, video.current_generation_id) == (GenerationState.ABANDONED, job.generation_id)
    assert job.playable_at == playable_at
    assert events(job)[2:] == ["job.playable", "job.planned", "job.fell_back", "job.playable", "job.completed"]
    assert Step.objects.filter(kind=StepKind.PURGE, payload__prefix__endswith="/g1/").count() == 1


def test_a_job_that_ends_after_it_fell_back_leaves_nothing_behind() -> None:
    job = a_gpu_job()
    Job.objects.update(state="processing", started_at=Now())
    audio, first = claim_or_none(), gpu_claim()
    assert audio is not None
    carry_out(audio)
    carry_out(first)
    set_aside()
    step_fail(claim=gpu_claim(), failure=LOST, policy=POLICY)
    job_cancel(owner=job.owner, job_id=job.id)
    assert set(Generation.objects.values_list("state", flat=True)) == {GenerationState.ABANDONED}
    assert Video.objects.get(id=job.video_id).current_generation is None
    job_retry(owner=job.owner, job_id=job.id, policy=POLICY)
    carry_out_all(job)
    assert (job.state, job.metadata["gpu_fallback"]) == ("completed", True)


def test_a_job_that_starts_again_while_no_device_is_there_is_planned_when_one_comes() -> None:
    job = a_gpu_job(gpu="require")
    job_cancel(owner=job.owner, job_id=job.id)
    Generation.objects.update(plan={"version": 0})
    DeviceReport.objects.all().delete()
    job_retry(owner=job.owner, job_id=job.id, policy=POLICY)
    job.refresh_from_db()
    assert (job.phase, job.generation_id) == (JobPhase.WAITING, None)
    devices_watch(policy=POLICY)
    devices_watch(policy=POLICY)
    a_gpu()
    devices_watch(policy=POLICY)
    job.refresh_from_db()
    assert (job.phase, job.waiting_since) == (JobPhase.PLANNED, None)


def test_a_retried_step_waits_for_the_slots_that_its_cancelled_attempt_may_still_use() -> None:
    job = a_gpu_job()
    held = gpu_claim()
    job_cancel(owner=job.owner, job_id=job.id)
    job_retry(owner=job.owner, job_id=job.id, policy=POLICY)
    assert Step.objects.get(id=held.step_id).state == StepState.DELAYED
    assert sessions_used() == {"GPU-0": 4}
    assert gpu_claim(slots=8).step_id != held.step_id


def test_a_plan_says_where_and_why() -> None:
    job = a_gpu_job(slots=3)
    document = job_plan_document(owner=job.owner, job_id=job.id, policy=POLICY, page=ALL)
    assert document["encoder"] == H264
    steps: Any = document["steps"]
    assert len([step for step in steps if step["kind"] == "chunk"]) == 4
    a_job(job.video, policy=POLICY, gpu="never")
    preview = job_preview(owner=job.owner, video_id=job.video_id, request={"codec": "h264"}, policy=POLICY, page=ALL)
    assert preview["encoder"] == H264
    DeviceReport.objects.all().delete()
    preview = job_preview(owner=job.owner, video_id=job.video_id, request={"codec": "h264"}, policy=POLICY, page=ALL)
    reasons: Any = preview["reasons"]
    (device,) = [reason for reason in reasons if reason["choice"] == "device"]
    assert device["value"] == "cpu"
    assert device["because"] == "a GPU was preferred, but no GPU is there"


def test_an_operator_has_a_job_done_on_the_cpu() -> None:
    job = a_gpu_job(gpu="require")
    gpu_claim()
    job_force_cpu(owner=job.owner, job_id=job.id, policy=POLICY)
    assert {step.encoder for step in chunks(job)} == {""}
    assert "job.fell_back" in events(job)
    with pytest.raises(Problem, match="not planned for a GPU"):
        job_force_cpu(owner=job.owner, job_id=job.id, policy=POLICY)
