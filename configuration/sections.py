"""All settings of the platform. Sizes are in bytes and times in seconds, unless a name says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from urllib.parse import urlsplit

from configuration.declaration import GIB, MIB, setting
from configuration.serving import (
    CacheConfig,
    OwnerConfig,
    PlaybackConfig,
    RateConfig,
    SiteConfig,
    UploadConfig,
)

MAX_PARTS = 10_000  # of one object in an S3 multipart upload, as AWS documents it
LEASE_RENEWALS = 3  # two renewals may fail before a lease is lost


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseConfig:
    """PostgreSQL, the source of truth."""

    database_url: str = setting(
        "postgresql://vodmill@127.0.0.1:5432/vodmill", secret=True, help="postgresql://user:password@host:port/name"
    )
    database_pool_size: int = setting(
        10, minimum=1, maximum=1000, help="Maximum number of database connections of one API process."
    )

    def problems(self) -> Iterator[str]:
        url = urlsplit(self.database_url)
        if url.scheme not in {"postgresql", "postgres"} or len(url.path) < len("/x"):
            yield "TRANSCODER_DATABASE_URL must look like postgresql://user:password@host:port/name"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerConfig:
    """Redis as the message broker. It carries only wake-ups, which may be lost."""

    broker_url: str = setting("redis://127.0.0.1:6379/0", secret=True, help="redis://:password@host:port/number")

    def problems(self) -> Iterator[str]:
        if urlsplit(self.broker_url).scheme not in {"redis", "rediss"}:
            yield "TRANSCODER_BROKER_URL must begin with redis:// or rediss://"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """The object store of sources and segments."""

    storage: str = setting("s3", choices=("s3", "local"), help="An S3-compatible store, or a folder of one machine.")
    s3_endpoint_url: str = setting("", help="URL of the store for our own processes. Empty: AWS.")
    s3_public_endpoint_url: str = setting(
        "", help="URL of the store for players. Empty: the same as TRANSCODER_S3_ENDPOINT_URL."
    )
    s3_region: str = setting("us-east-1", help="Region. It is part of every signature.")
    s3_bucket: str = setting("vodmill", help="Bucket. It is private, and created if missing.")
    s3_access_key: str = setting("", secret=True, help="Access key. Empty: the AWS client's own credential search.")
    s3_secret_key: str = setting("", secret=True, help="Secret key of the access key.")
    local_storage_path: str = setting("", help="Folder of the local store. Required if TRANSCODER_STORAGE is local.")
    upload_part_bytes: int = setting(
        10 * MIB, minimum=5 * MIB, maximum=5 * GIB, help="Size of one part of a multipart upload."
    )
    parallel_parts: int = setting(
        4, minimum=1, maximum=64, help="Number of parts of one object that are transferred in parallel."
    )
    presign_seconds: int = setting(
        3600, minimum=60, maximum=604_800, help="Lifetime of a presigned URL. S3 allows seven days."
    )

    @property
    def player_endpoint_url(self) -> str:
        """URL of the store for players. Empty: AWS."""
        return self.s3_public_endpoint_url or self.s3_endpoint_url

    def problems(self) -> Iterator[str]:
        if self.storage == "local" and not self.local_storage_path:
            yield "TRANSCODER_LOCAL_STORAGE_PATH is required when TRANSCODER_STORAGE is local"
        if bool(self.s3_access_key) != bool(self.s3_secret_key):
            yield "TRANSCODER_S3_ACCESS_KEY and TRANSCODER_S3_SECRET_KEY must be set together"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseConfig:
    """Timeouts after which a silent worker counts as dead."""

    lease_seconds: int = setting(
        60, minimum=2, help="Time for which a step stays with a worker that does not renew its lease."
    )
    lease_renew_seconds: float = setting(
        15.0, minimum=0.1, help="Interval at which a worker renews the lease of a step."
    )
    lease_stop_fraction: float = setting(
        0.8,
        minimum=0.5,
        maximum=0.95,
        help="Fraction of the lease without a renewal after which a worker stops its step.",
    )
    dispatcher_tick_seconds: float = setting(
        2.0, minimum=0.1, help="Interval at which the dispatcher checks for work without being woken."
    )
    node_heartbeat_seconds: float = setting(5.0, minimum=0.1, help="Interval of a node's heartbeat.")
    node_silence_seconds: float = setting(
        20.0, minimum=0.5, help="Time without a heartbeat after which a node gets no tickets."
    )

    def problems(self) -> Iterator[str]:
        if self.lease_renew_seconds * LEASE_RENEWALS > self.lease_seconds:
            yield "TRANSCODER_LEASE_RENEW_SECONDS must be at most a third of TRANSCODER_LEASE_SECONDS"
        if self.node_heartbeat_seconds * 2 > self.node_silence_seconds:
            yield "TRANSCODER_NODE_HEARTBEAT_SECONDS must be at most half of TRANSCODER_NODE_SILENCE_SECONDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """Retry policy of failed steps."""

    max_failures: int = setting(3, minimum=1, help="Number of failures of one step after which its job fails.")
    poison_attempts: int = setting(
        5,
        minimum=1,
        help="Number of attempts of one step in a row that lost their worker without progress; then its job fails.",
    )
    retry_base_seconds: float = setting(
        5.0, minimum=0, help="Pause before the first retry. It doubles with each further one."
    )
    retry_max_seconds: float = setting(300.0, minimum=0, help="Maximum pause before a retry.")

    def problems(self) -> Iterator[str]:
        if self.retry_base_seconds > self.retry_max_seconds:
            yield "TRANSCODER_RETRY_BASE_SECONDS must be at most TRANSCODER_RETRY_MAX_SECONDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankConfig:
    """Scheduling order."""

    priority_seconds: int = setting(60, minimum=0, help="Value of one point of priority, in seconds of waiting.")
    head_start_seconds: int = setting(
        30, minimum=0, help="Head start of the steps that make a video playable: inspect, audio, the first chunk."
    )
    default_priority: int = setting(50, minimum=0, maximum=100, help="Priority of a job whose request names none.")
    priority_ceiling: int = setting(
        80, minimum=0, maximum=100, help="Highest priority that a key without the scope jobs:urgent may request."
    )
    priority_scale: int = setting(
        100,
        minimum=1,
        maximum=100,
        help="Highest priority in requests. Numbers are scaled to 100. 10: 0, 5 and 10 mean 0, 50 and 100.",
    )

    def problems(self) -> Iterator[str]:
        if self.default_priority > self.priority_ceiling:
            yield "TRANSCODER_DEFAULT_PRIORITY must be at most TRANSCODER_PRIORITY_CEILING"


@dataclass(frozen=True, slots=True, kw_only=True)
class JanitorConfig:
    """Clean-up of unused objects and nodes."""

    janitor_seconds: float = setting(600.0, minimum=1, help="Interval of the clean-up.")
    abandoned_upload_seconds: int = setting(86_400, minimum=60, help="Age at which an unfinished upload is deleted.")
    abandoned_generation_seconds: int = setting(
        604_800, minimum=60, help="Time for which a failed or cancelled job keeps its published segments for a retry."
    )
    forgotten_node_seconds: int = setting(86_400, minimum=60, help="Time for which a silent node stays in the list.")

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventConfig:
    """Event log, event streams and webhooks."""

    event_days: int = setting(30, minimum=1, help="Retention of events and of the log of their deliveries.")
    max_event_streams: int = setting(5000, minimum=1, help="Maximum number of open event streams of one API process.")
    event_stream_seconds: float = setting(
        900.0, minimum=1, help="Duration of an event stream. Clients reconnect and continue where they were."
    )
    webhook_seconds: float = setting(15.0, minimum=1, maximum=120, help="Time limit of a receiver's response.")
    webhook_threads: int = setting(
        8, minimum=1, maximum=256, help="Number of deliveries that one dispatcher sends in parallel."
    )
    webhook_networks: tuple[str, ...] = setting(
        (), help="Internal networks that webhooks may reach, also by plain HTTP: 10.1.0.0/16,…"
    )

    def problems(self) -> Iterator[str]:
        for text in self.webhook_networks:
            try:
                ip_network(text)
            except ValueError as error:
                yield f"TRANSCODER_WEBHOOK_NETWORKS: {error}"


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
    worker_queue: str = setting("cpu", choices=("cpu", "gpu"), help="Queue from which this node claims steps.")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """Prometheus metrics."""

    metrics_token: str = setting("", secret=True, help="Bearer token of the scraper. Empty: the API has no /metrics.")
    metrics_port: int = setting(
        0,
        minimum=0,
        maximum=65_535,
        help="Port of /metrics and /healthz of a worker node or dispatcher. Without a token it is open on this machine"
        " only. 0: none.",
    )

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings, parsed once when a process starts."""

    site: SiteConfig = field(default_factory=SiteConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    broker: BrokerConfig = field(default_factory=BrokerConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    upload: UploadConfig = field(default_factory=UploadConfig)
    playback: PlaybackConfig = field(default_factory=PlaybackConfig)
    lease: LeaseConfig = field(default_factory=LeaseConfig)
    retry: RetryConfig = field(default_factory=RetryConfig)
    rank: RankConfig = field(default_factory=RankConfig)
    janitor: JanitorConfig = field(default_factory=JanitorConfig)
    events: EventConfig = field(default_factory=EventConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    limits: LimitConfig = field(default_factory=LimitConfig)
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)
    worker: WorkerConfig = field(default_factory=WorkerConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
    rate: RateConfig = field(default_factory=RateConfig)
    owner: OwnerConfig = field(default_factory=OwnerConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    gpu: GpuConfig = field(default_factory=GpuConfig)

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each contradiction between sections."""
        if self.upload.max_upload_bytes > MAX_PARTS * self.storage.upload_part_bytes:
            yield (
                f"TRANSCODER_MAX_UPLOAD_BYTES must be at most {MAX_PARTS} times TRANSCODER_UPLOAD_PART_BYTES:"
                " S3 takes no more parts"
            )
        if self._mixes_content():
            yield (
                f"browsers load nothing from {self.storage.player_endpoint_url} on pages by HTTPS, so nothing would"
                " play: set TRANSCODER_S3_PUBLIC_ENDPOINT_URL to an https URL of the store, or"
                " TRANSCODER_PLAYBACK_DELIVERY to proxy, or TRANSCODER_HTTPS to false where pages are not by HTTPS"
            )

    def _mixes_content(self) -> bool:
        """Tell whether players on pages by HTTPS are redirected to a store without, other than on their own machine."""
        pages = urlsplit(self.site.public_url).scheme == "https" if self.site.public_url else self.site.https
        redirects = self.storage.storage == "s3" and self.playback.playback_delivery == "redirect"
        store = urlsplit(self.storage.player_endpoint_url)
        return pages and redirects and store.scheme == "http" and store.hostname not in _TRUSTWORTHY_HOSTS


_TRUSTWORTHY_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts from which pages by HTTPS may load without it (W3C, Secure Contexts)."""
