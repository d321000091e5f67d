"""Settings of encoding, its limits, external programs, worker nodes and GPUs. Sizes are in bytes, times in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from configuration.declaration import GIB, MIB, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeConfig:
    """Chunks and encoding. The media contract fixes the lengths of segments and GOPs."""

    chunk_work_seconds: int = setting(
        60, minimum=5, help="Target duration of the work on one chunk, at the speed measured on earlier chunks."
    )
    min_chunk_seconds: int = setting(
        4, minimum=1, help="Minimum length of a chunk, in seconds of video. It is at least one segment."
    )
    max_chunk_seconds: int = setting(300, minimum=4, help="Maximum length of a chunk, in seconds of video.")
    assumed_pixels_per_second: int = setting(
        40_000_000,
        minimum=1000,
        help="Pixels of all renditions that a slot encodes per second with preset veryfast. Used until it is measured.",
    )
    x264_preset: str = setting(
        "veryfast",
        choices=("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"),
        help="Preset of x264 for jobs whose request names none.",
    )
    two_pass: bool = setting(default=False, help="Two-pass encoding on the CPU, unless a job says otherwise.")
    hardware_path: str = setting(
        "upload",
        choices=("upload", "device"),
        help="Source of the frames of hardware encoders. upload: decoded and scaled on the CPU, for every source; "
        "hostile files reach no driver. device: all of it on the device, for sources that it supports.",
    )
    publish_seconds: float = setting(
        2.0, minimum=0.1, help="Interval at which finished segments are uploaded and published."
    )
    thumbnails: bool = setting(
        default=True, help="Make a poster, thumbnails, sprite sheets and a preview, unless a job says otherwise."
    )
    decode_sample_every: int = setting(1, minimum=1, help="Decode one segment as a check in every n-th chunk.")

    def problems(self) -> Iterator[str]:
        if self.min_chunk_seconds > self.max_chunk_seconds:
            yield "TRANSCODER_MIN_CHUNK_SECONDS must be at most TRANSCODER_MAX_CHUNK_SECONDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitConfig:
    """Limits of sources and jobs. Anything beyond them is rejected."""

    max_duration_seconds: int = setting(43_200, minimum=1, help="Maximum duration of a source.")
    max_pixels: int = setting(8192 * 4320, minimum=256, help="Maximum number of pixels of one frame.")
    max_frame_rate: int = setting(
        240, minimum=1, help="Frame rate that, with the maximum duration, limits the number of frames of a source."
    )
    max_streams: int = setting(64, minimum=1, help="Maximum number of streams in one file.")
    max_inspect_seconds: int = setting(
        60, minimum=1, help="Maximum processor time of the inspection of a file, beside copying it."
    )
    max_step_seconds: int = setting(
        3600,
        minimum=60,
        help="Maximum duration of a step. Jobs whose shortest chunk is expected to take longer are refused. "
        "A chunk that does take longer makes room for other work and continues later.",
    )
    max_chunks: int = setting(4000, minimum=1, help="Maximum number of chunks of one job.")
    max_renditions: int = setting(12, minimum=1, help="Maximum number of video renditions of one job.")
    max_texts: int = setting(
        60, minimum=1, help="Maximum number of texts (subtitles, captions) of one video, embedded ones included."
    )
    max_job_work_seconds: int = setting(
        500_000, minimum=60, help="Maximum work of one job, in seconds of one worker slot, as its plan expects it."
    )
    max_owner_work_seconds: int = setting(
        1_500_000,
        minimum=60,
        help="Maximum work of all unfinished jobs of one owner. A job beyond it is refused, or waits.",
    )

    def problems(self) -> Iterator[str]:
        if self.max_job_work_seconds > self.max_owner_work_seconds:
            yield "TRANSCODER_MAX_JOB_WORK_SECONDS must be at most TRANSCODER_MAX_OWNER_WORK_SECONDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionConfig:
    """External programs and their resource limits."""

    ffmpeg_path: str = setting("", help="Path of ffmpeg. Empty: the one in the Python package imageio-ffmpeg.")
    ffprobe_path: str = setting("ffprobe", help="Path of ffprobe, or its name on PATH.")
    isolation: str = setting(
        "auto",
        choices=("auto", "sandbox", "uid", "container", "none"),
        help="Isolation of the programs that open sources. auto: sandbox, or uid for a worker that is root; a worker"
        " where neither works refuses to start. container: its container is the jail. none: allowed to run without.",
    )
    ffmpeg_threads: int = setting(0, minimum=0, help="Number of threads of one ffmpeg. 0: ffmpeg decides.")
    stall_seconds: int = setting(30, minimum=1, help="Time without progress after which a process is killed.")
    max_output_bytes: int = setting(200 * GIB, minimum=MIB, help="Maximum size of a file that a process may write.")
    max_cpu_seconds: int = setting(1_000_000, minimum=60, help="Maximum processor time of one process, over all cores.")
    scratch_path: str = setting("", help="Folder of work files. Empty: vodmill in the system's temporary folder.")
    source_cache_bytes: int = setting(20 * GIB, minimum=0, help="Maximum size of the source cache of a node.")

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """One worker node."""

    node_name: str = setting("", help="Name of this node, unique in the cluster. Empty: the host name.")
    worker_slots: int = setting(
        2, minimum=1, maximum=1024, help="Number of steps that run at the same time on this node."
    )
    drain_grace_seconds: float = setting(
        20.0, minimum=0, help="Time for which a step may continue when its node is stopped, if it will be done by then."
    )
    consumer_timeout_seconds: float = setting(
        120.0,
        minimum=1,
        help="Time without receiving its own consumer probes after which a worker with an idle slot is unhealthy.",
    )
    worker_queue: str = setting(
        "cpu,transfer",
        choices=("cpu,transfer", "cpu", "gpu", "transfer", "live"),
        help="Queues from which this node claims steps. transfer: imports and deliveries, which need a way out."
        " live: live streams; each keeps a slot for as long as it lasts.",
    )

    @property
    def queues(self) -> tuple[str, ...]:
        """Return the queues by their names; of each node the first is the one that its work is counted under."""
        return tuple(self.worker_queue.split(","))

    @property
    def opens_sources(self) -> bool:
        """Tell whether ffmpeg runs on this node, on files of strangers."""
        return self.queues != ("transfer",)

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuConfig:
    """GPU encoding: policy, devices and their limits."""

    enable_gpu: bool = setting(default=True, help="Encode on GPUs. false: the policy of every job is never.")
    gpu_policy: str = setting(
        "prefer",
        choices=("prefer", "require", "never"),
        help="Policy of jobs whose request names none. prefer: a GPU if possible, otherwise the CPU. "
        "require: a GPU, otherwise the job fails. never: the CPU.",
    )
    gpu_device_index: int = setting(
        -1, minimum=-1, help="Index, in the GPU status, of the only device that GPU workers use. -1: the best one."
    )
    gpu_slots_per_device: int = setting(
        0,
        minimum=0,
        maximum=1024,
        help="Maximum number of encoder sessions (one per rendition) of one device. 0: depends on its kind.",
    )
    gpu_system_slots: int = setting(
        0,
        minimum=0,
        maximum=1024,
        help="Maximum number of encoder sessions of all GeForce and TITAN cards of a machine together. 0: 8.",
    )
    gpu_min_free_mb: int = setting(500, minimum=0, help="Minimum free memory, in MiB, of a device that gets work.")
    gpu_trial_seconds: float = setting(20.0, minimum=1, help="Time limit of a trial encode on a device.")
    gpu_set_aside_seconds: float = setting(
        60.0,
        minimum=0.1,
        help="First pause of an encoder that failed on a device. It doubles with each further one, up to an hour.",
    )
    gpu_wait_seconds: float = setting(
        300.0, minimum=0, help="Time for which a job that requires a GPU waits for a device that can encode it."
    )

    def problems(self) -> Iterator[str]:
        yield from ()
