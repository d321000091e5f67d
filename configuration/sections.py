"""Every setting of the platform. Sizes are bytes and times are seconds unless a name says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from urllib.parse import urlsplit

from configuration.declaration import setting

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

SECRET_KEY_CHARACTERS = 50  # what Django's deployment check asks for
MOST_PARTS = 10_000  # of one object in an S3 multipart upload
LEASE_RENEWALS = 3  # two renewals may fail before a lease is lost


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """The web site: who may reach it and how."""

    secret_key: str = setting("", secret=True, help="Signs playback tokens. At least 50 random characters; required.")
    debug: bool = setting(default=False, help="Show tracebacks to clients. Never in production.")
    allowed_hosts: tuple[str, ...] = setting(
        ("localhost", "127.0.0.1"), help="Host names the API answers to, separated by commas."
    )
    public_url: str = setting("", help="Base of absolute URLs in answers. Empty: taken from each request.")
    https: bool = setting(default=True, help="Clients use HTTPS only: plain HTTP is redirected, HSTS is sent.")
    trust_forwarded_proto: bool = setting(
        default=False, help="Believe X-Forwarded-Proto. Only behind a proxy that always sets it."
    )
    hsts_seconds: int = setting(31_536_000, minimum=0, help="How long browsers remember to use HTTPS only.")
    log_level: str = setting("INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="Least severe log line.")

    def problems(self) -> Iterator[str]:
        if len(self.secret_key) < SECRET_KEY_CHARACTERS:
            yield (
                f"TRANSCODER_SECRET_KEY (or TRANSCODER_SECRET_KEY_FILE) must have at least"
                f" {SECRET_KEY_CHARACTERS} characters, got {len(self.secret_key)}"
            )
        if self.public_url and urlsplit(self.public_url).scheme not in {"http", "https"}:
            yield f"TRANSCODER_PUBLIC_URL must begin with http:// or https://, got {self.public_url!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseConfig:
    """PostgreSQL, which holds the truth."""

    database_url: str = setting(
        "postgresql://vodmill@127.0.0.1:5432/vodmill", secret=True, help="postgresql://user:password@host:port/name"
    )
    database_pool_size: int = setting(10, minimum=1, maximum=1000, help="Most database connections of one API process.")

    def problems(self) -> Iterator[str]:
        url = urlsplit(self.database_url)
        if url.scheme not in {"postgresql", "postgres"} or len(url.path) < len("/x"):
            yield "TRANSCODER_DATABASE_URL must look like postgresql://user:password@host:port/name"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerConfig:
    """Redis, which carries wake-ups and nothing that may not be lost."""

    broker_url: str = setting("redis://127.0.0.1:6379/0", secret=True, help="redis://:password@host:port/number")

    def problems(self) -> Iterator[str]:
        if urlsplit(self.broker_url).scheme not in {"redis", "rediss"}:
            yield "TRANSCODER_BROKER_URL must begin with redis:// or rediss://"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """Where sources and segments are kept."""

    storage: str = setting("s3", choices=("s3", "local"), help="Any S3-compatible store, or a folder of one machine.")
    s3_endpoint_url: str = setting("", help="The store's address as this process reaches it. Empty: AWS.")
    s3_public_endpoint_url: str = setting(
        "", help="The store's address as players reach it. Empty: the same as TRANSCODER_S3_ENDPOINT_URL."
    )
    s3_region: str = setting("us-east-1", help="Region, part of every signature.")
    s3_bucket: str = setting("vodmill", help="Bucket; private, made when missing.")
    s3_access_key: str = setting("", secret=True, help="Access key. Empty: the AWS client's own search for one.")
    s3_secret_key: str = setting("", secret=True, help="Secret key that belongs to the access key.")
    local_storage_path: str = setting("", help="Folder of the local store. Required when TRANSCODER_STORAGE is local.")
    upload_part_bytes: int = setting(10 * MIB, minimum=5 * MIB, maximum=5 * GIB, help="Size of one multipart part.")
    parallel_parts: int = setting(4, minimum=1, maximum=64, help="Parts of one object moved at the same time.")
    presign_seconds: int = setting(
        3600, minimum=60, maximum=604_800, help="How long a presigned address works. S3 allows seven days."
    )

    def problems(self) -> Iterator[str]:
        if self.storage == "local" and not self.local_storage_path:
            yield "TRANSCODER_LOCAL_STORAGE_PATH is required when TRANSCODER_STORAGE is local"
        if bool(self.s3_access_key) != bool(self.s3_secret_key):
            yield "TRANSCODER_S3_ACCESS_KEY and TRANSCODER_S3_SECRET_KEY must be set together"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadConfig:
    """What clients may send."""

    max_upload_bytes: int = setting(
        50 * GIB, minimum=1, help="Largest video accepted; at most 10,000 times TRANSCODER_UPLOAD_PART_BYTES."
    )
    max_concurrent_uploads: int = setting(
        32,
        minimum=1,
        help="Most uploads that one API process takes at a time; each holds up to TRANSCODER_UPLOAD_PART_BYTES.",
    )

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackConfig:
    """How players get what was made."""

    playback_delivery: str = setting(
        "redirect", choices=("redirect", "proxy"), help="Send players to the store, or send the bytes ourselves."
    )
    playback_token_seconds: int = setting(
        86_400, minimum=60, help="How long a playback address works; longer than the longest video."
    )

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseConfig:
    """How soon silence is taken for death."""

    lease_seconds: int = setting(60, minimum=2, help="How long a step stays with a worker that says nothing.")
    lease_renew_seconds: float = setting(15.0, minimum=0.1, help="How often a worker renews the lease of a step.")
    lease_stop_fraction: float = setting(
        0.8, minimum=0.5, maximum=0.95, help="Share of the lease without a renewal after which a worker stops itself."
    )
    dispatcher_tick_seconds: float = setting(
        2.0, minimum=0.1, help="How often the dispatcher looks without being woken."
    )
    node_heartbeat_seconds: float = setting(5.0, minimum=0.1, help="How often a node says that it is there.")
    node_silence_seconds: float = setting(20.0, minimum=0.5, help="After how long a silent node is sent no tickets.")

    def problems(self) -> Iterator[str]:
        if self.lease_renew_seconds * LEASE_RENEWALS > self.lease_seconds:
            yield "TRANSCODER_LEASE_RENEW_SECONDS must be at most a third of TRANSCODER_LEASE_SECONDS"
        if self.node_heartbeat_seconds * 2 > self.node_silence_seconds:
            yield "TRANSCODER_NODE_HEARTBEAT_SECONDS must be at most half of TRANSCODER_NODE_SILENCE_SECONDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """When to try again and when to give up."""

    max_failures: int = setting(3, minimum=1, help="Failures of one step after which its job fails.")
    poison_attempts: int = setting(
        5, minimum=1, help="Attempts of one step lost without publishing anything new after which its job fails."
    )
    retry_base_seconds: float = setting(5.0, minimum=0, help="Pause before the first retry; doubles with each.")
    retry_max_seconds: float = setting(300.0, minimum=0, help="Longest pause before a retry.")

    def problems(self) -> Iterator[str]:
        if self.retry_base_seconds > self.retry_max_seconds:
            yield "TRANSCODER_RETRY_BASE_SECONDS must be at most TRANSCODER_RETRY_MAX_SECONDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankConfig:
    """Who goes first."""

    priority_seconds: int = setting(60, minimum=0, help="How many seconds of waiting one point of priority is worth.")
    head_start_seconds: int = setting(
        30, minimum=0, help="Head start of the steps that make a video playable: inspect, audio, the first chunk."
    )
    default_priority: int = setting(50, minimum=0, maximum=100, help="Priority of a job that names none.")
    priority_scale: int = setting(
        100,
        minimum=1,
        maximum=100,
        help="Highest priority in requests; numbers are scaled to 100. 10: 0, 5 and 10 mean 0, 50 and 100.",
    )

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JanitorConfig:
    """When something that nobody uses is cleared away."""

    janitor_seconds: float = setting(600.0, minimum=1, help="How often the dispatcher looks for what to clear away.")
    abandoned_upload_seconds: int = setting(
        86_400, minimum=60, help="Age at which an upload that was never finished is thrown away."
    )
    lost_generation_seconds: int = setting(
        604_800, minimum=60, help="How long a failed or cancelled job can be retried with what it had made."
    )
    forgotten_node_seconds: int = setting(86_400, minimum=60, help="How long a silent node stays in the list.")

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventConfig:
    """How the outside is told what happens."""

    event_days: int = setting(30, minimum=1, help="How long events and the log of their deliveries are kept.")
    max_event_streams: int = setting(5000, minimum=1, help="Most event streams open at a time in one API process.")
    event_stream_seconds: float = setting(
        900.0, minimum=1, help="How long a stream stays open; clients come back and go on where they were."
    )
    webhook_seconds: float = setting(15.0, minimum=1, maximum=120, help="How long a receiver may take to answer.")
    webhook_threads: int = setting(8, minimum=1, maximum=256, help="Deliveries sent at a time by one dispatcher.")
    webhook_networks: tuple[str, ...] = setting(
        (), help="Networks besides the open internet that webhooks may go to, also by plain HTTP: 10.1.0.0/16,…"
    )

    def problems(self) -> Iterator[str]:
        for text in self.webhook_networks:
            try:
                ip_network(text)
            except ValueError as error:
                yield f"TRANSCODER_WEBHOOK_NETWORKS: {error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeConfig:
    """How a video is cut and encoded. Segments and GOPs are fixed by the media contract."""

    chunk_work_seconds: int = setting(
        60, minimum=5, help="How long a worker should work on one chunk, at the speed measured on earlier chunks."
    )
    min_chunk_seconds: int = setting(4, minimum=1, help="Shortest chunk, in seconds of video; at least one segment.")
    max_chunk_seconds: int = setting(300, minimum=4, help="Longest chunk, in seconds of video.")
    assumed_pixels_per_second: int = setting(
        40_000_000,
        minimum=1000,
        help="Pixels of all renditions that a slot encodes per second with preset veryfast, until that was measured.",
    )
    x264_preset: str = setting(
        "veryfast",
        choices=("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"),
        help="Preset of x264 for jobs that name none.",
    )
    two_pass: bool = setting(default=False, help="Analyse before encoding on the CPU, unless a job says otherwise.")
    hardware_path: str = setting(
        "upload",
        choices=("upload", "device"),
        help="Where hardware encoders get frames from. upload: decoded and scaled on the CPU, which bears every source "
        "and keeps hostile ones from drivers. device: all on the device, for sources that it takes.",
    )
    publish_seconds: float = setting(2.0, minimum=0.1, help="How often finished segments are uploaded and published.")
    decode_sample_every: int = setting(1, minimum=1, help="Every how many chunks one segment is decoded as a check.")

    def problems(self) -> Iterator[str]:
        if self.min_chunk_seconds > self.max_chunk_seconds:
            yield "TRANSCODER_MIN_CHUNK_SECONDS must be at most TRANSCODER_MAX_CHUNK_SECONDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitConfig:
    """What a source may be like at most; anything beyond is rejected."""

    max_duration_seconds: int = setting(43_200, minimum=1, help="Longest source.")
    max_pixels: int = setting(8192 * 4320, minimum=256, help="Most pixels of one picture.")
    max_frame_rate: int = setting(
        240, minimum=1, help="Frames per second of the longest source: bounds how many it has."
    )
    max_streams: int = setting(64, minimum=1, help="Most streams in one file.")
    max_chunks: int = setting(2000, minimum=1, help="Most chunks of one job.")
    max_renditions: int = setting(12, minimum=1, help="Most video renditions of one job.")

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionConfig:
    """The tools that workers start, and what they may use."""

    ffmpeg_path: str = setting("", help="ffmpeg. Empty: the one inside the Python package imageio-ffmpeg.")
    ffprobe_path: str = setting("ffprobe", help="ffprobe, a path or a name on PATH.")
    ffmpeg_threads: int = setting(0, minimum=0, help="Threads of one ffmpeg. 0: ffmpeg decides.")
    stall_seconds: int = setting(30, minimum=1, help="After how long without progress a process is killed.")
    max_output_bytes: int = setting(200 * GIB, minimum=MIB, help="Largest file that a process may write.")
    max_cpu_seconds: int = setting(1_000_000, minimum=60, help="Most processor time of one process, over all cores.")
    scratch_path: str = setting("", help="Folder for files in work. Empty: vodmill in the system's temporary folder.")
    source_cache_bytes: int = setting(20 * GIB, minimum=0, help="Sources kept on a node for the next chunk.")

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """What one worker node is."""

    node_name: str = setting("", help="Name of this node, unique in the cluster. Empty: the host name.")
    worker_slots: int = setting(2, minimum=1, maximum=1024, help="Steps run at the same time on this node.")
    drain_grace_seconds: float = setting(
        20.0, minimum=0, help="How long a step may go on when its node is stopped, if it will be done by then."
    )
    worker_deaf_seconds: float = setting(
        120.0, minimum=1, help="After how long without taking what is sent to it a worker with an idle slot is broken."
    )
    worker_queue: str = setting("cpu", choices=("cpu", "gpu"), help="Queue this node takes steps from.")

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuConfig:
    """Encoding on GPUs: whether, on which, and how much at a time."""

    enable_gpu: bool = setting(default=True, help="Encode on GPUs at all. false: the policy of every job is never.")
    gpu_policy: str = setting(
        "prefer",
        choices=("prefer", "require", "never"),
        help="Policy of jobs that name none: a GPU if one can, the CPU if not; a GPU or failure; the CPU.",
    )
    gpu_device_index: int = setting(
        -1, minimum=-1, help="The only device that GPU workers use, by its index in the GPU status. -1: the best one."
    )
    gpu_slots_per_device: int = setting(
        0, minimum=0, maximum=1024, help="Encoder sessions, one a rendition, of one device. 0: by its kind."
    )
    gpu_system_slots: int = setting(
        0, minimum=0, maximum=1024, help="Encoder sessions of all GeForce and TITAN cards of a machine together. 0: 8."
    )
    gpu_min_free_mb: int = setting(500, minimum=0, help="A device with less free memory, in MiB, gets no work.")
    gpu_trial_seconds: float = setting(20.0, minimum=1, help="How long a trial encode on a device may take.")
    gpu_set_aside_seconds: float = setting(
        60.0, minimum=0.1, help="First pause of an encoder that failed on a device; doubles with each, up to an hour."
    )
    gpu_wait_seconds: float = setting(
        300.0, minimum=0, help="How long a job that requires a GPU waits for one that can encode it."
    )

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """Redis once more, for what may be lost at any time: kept answers, and how fast clients ask."""

    cache_url: str = setting(
        "redis://127.0.0.1:6379/1", secret=True, help="redis://:password@host:port/number. Empty: do without."
    )
    enable_cache: bool = setting(default=True, help="Keep answers; rates are kept in any case.")
    cache_ttl_seconds: int = setting(300, minimum=1, help="How long an answer is kept at most.")
    cache_timeout_seconds: float = setting(
        0.1, minimum=0.01, maximum=5, help="After how long a Redis that does not answer is left alone for a second."
    )

    def problems(self) -> Iterator[str]:
        if self.cache_url and urlsplit(self.cache_url).scheme not in {"redis", "rediss"}:
            yield "TRANSCODER_CACHE_URL must begin with redis:// or rediss://"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateConfig:
    """How many requests a minute are let through, all of them at once if a client likes. 0: any number."""

    rate_read_per_minute: int = setting(6000, minimum=0, help="Requests of one API key that only read.")
    rate_write_per_minute: int = setting(600, minimum=0, help="Requests of one API key that change something.")
    rate_upload_per_minute: int = setting(120, minimum=0, help="Uploads of one API key.")
    rate_address_per_minute: int = setting(300, minimum=0, help="Requests from one address without a working API key.")
    rate_login_per_minute: int = setting(
        10, minimum=0, help="Tries to log in from one address; ten times as many with one name."
    )

    def problems(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """What Prometheus may read."""

    metrics_token: str = setting("", secret=True, help="What a scraper sends as Bearer. Empty: the API shows none.")
    metrics_port: int = setting(
        0,
        minimum=0,
        maximum=65_535,
        help="Port at which a worker node or dispatcher shows /metrics and /healthz; without a token on this machine"
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
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    gpu: GpuConfig = field(default_factory=GpuConfig)

    def problems(self) -> Iterator[str]:
        """What is wrong between sections."""
        if self.upload.max_upload_bytes > MOST_PARTS * self.storage.upload_part_bytes:
            yield (
                f"TRANSCODER_MAX_UPLOAD_BYTES must be at most {MOST_PARTS} times TRANSCODER_UPLOAD_PART_BYTES:"
                " S3 takes no more parts"
            )
