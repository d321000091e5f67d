"""Settings of the servers that every process reaches, and all settings together.

Sizes are in bytes and times in seconds, unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from urllib.parse import urlsplit

from configuration.buckets import BucketConfig, buckets_read
from configuration.declaration import GIB, MIB, setting
from configuration.live import LiveConfig, LivestreamConfig, StatusGrpcConfig
from configuration.processing import EncodeConfig, ExecutionConfig, GpuConfig, LimitConfig, WorkerConfig
from configuration.scheduling import JanitorConfig, LeaseConfig, RankConfig, RetryConfig
from configuration.serving import (
    CacheConfig,
    OwnerConfig,
    PlaybackConfig,
    RateConfig,
    SiteConfig,
    UploadConfig,
)


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
        10 * MIB,
        minimum=5 * MIB,
        maximum=5 * GIB,
        help="Size of one part of a multipart upload, if 10,000 do.",
    )
    parallel_parts: int = setting(
        10,
        minimum=1,
        maximum=64,
        help="Number of parts of one object that are sent or fetched at a time. Each one being sent is in memory.",
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
    buckets: BucketConfig = field(default_factory=BucketConfig)
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
    live: LiveConfig = field(default_factory=LiveConfig)
    livestreams: LivestreamConfig = field(default_factory=LivestreamConfig)
    status_grpc: StatusGrpcConfig = field(default_factory=StatusGrpcConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    gpu: GpuConfig = field(default_factory=GpuConfig)

    def problems(self) -> Iterator[str]:
        """Yield one sentence for each contradiction between sections."""
        yield from self._mixed_content()
        yield from self._own_bucket()

    @property
    def import_networks(self) -> tuple[str, ...]:
        """Internal networks that videos may be imported from: those of live sources are among them."""
        return (*self.upload.import_networks, *self.live.source_networks)

    @property
    def player_media_url(self) -> str:
        """URL of the server that players are redirected to for media. Empty: AWS."""
        return self.playback.playback_public_base or self.storage.player_endpoint_url

    def redirects_players(self) -> bool:
        """Tell whether players are redirected, and do not get media from the API."""
        somewhere = bool(self.playback.playback_public_base) or self.storage.storage == "s3"
        return somewhere and self.playback.playback_delivery == "redirect"

    def _own_bucket(self) -> Iterator[str]:
        """Yield a sentence for each alias by which owners would reach the sources and outputs of all others."""
        if self.storage.storage != "s3" or any(self.buckets.problems()):
            return
        own = (self.storage.s3_endpoint_url.rstrip("/"), self.storage.s3_bucket)
        for alias, bucket in buckets_read(self.buckets.buckets).items():
            is_own = (bucket.endpoint_url.rstrip("/"), bucket.bucket) == own
            if is_own and (not bucket.prefix or bucket.prefix.startswith(_OWN_FOLDER)):
                yield (
                    f"TRANSCODER_BUCKETS: {alias} is the bucket of our own store, where the videos of all owners are:"
                    " give it a prefix of its own, or another bucket"
                )

    def _mixed_content(self) -> Iterator[str]:
        """Yield a sentence where players on pages by HTTPS are redirected to a server without, unless it is local."""
        pages = urlsplit(self.site.public_url).scheme == "https" if self.site.public_url else self.site.https
        media = urlsplit(self.player_media_url)
        plain = media.scheme == "http" and media.hostname not in _TRUSTWORTHY_HOSTS
        if pages and plain and self.redirects_players():
            base = self.playback.playback_public_base
            name = (
                "PLAYBACK_PUBLIC_BASE to an https URL"
                if base
                else "S3_PUBLIC_ENDPOINT_URL to an https URL of the store"
            )
            yield (
                f"browsers load nothing from {self.player_media_url} on pages by HTTPS, so nothing would play: set"
                f" TRANSCODER_{name}, or TRANSCODER_PLAYBACK_DELIVERY to proxy, or TRANSCODER_HTTPS to false where"
                " pages are not by HTTPS"
            )


_OWN_FOLDER = "videos/"
"""Everything that the product stores is in it."""
_TRUSTWORTHY_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts from which pages by HTTPS may load without it (W3C, Secure Contexts)."""
