"""Settings, declared as frozen dataclasses and read once from TRANSCODER_* variables."""

from configuration.buckets import Bucket, BucketConfig, buckets_read
from configuration.live import LiveConfig, LivestreamConfig, StatusGrpcConfig
from configuration.loading import ConfigurationError, load, require_secret_key, startup_warnings
from configuration.processing import EncodeConfig, ExecutionConfig, GpuConfig, LimitConfig, WorkerConfig
from configuration.scheduling import JanitorConfig, LeaseConfig, RankConfig, RetryConfig
from configuration.sections import BrokerConfig, Config, DatabaseConfig, EventConfig, MetricsConfig, StorageConfig
from configuration.serving import (
    CacheConfig,
    OwnerConfig,
    PlaybackConfig,
    RateConfig,
    SiteConfig,
    UploadConfig,
)

__all__ = [
    "BrokerConfig",
    "Bucket",
    "BucketConfig",
    "CacheConfig",
    "Config",
    "ConfigurationError",
    "DatabaseConfig",
    "EncodeConfig",
    "EventConfig",
    "ExecutionConfig",
    "GpuConfig",
    "JanitorConfig",
    "LeaseConfig",
    "LimitConfig",
    "LiveConfig",
    "LivestreamConfig",
    "MetricsConfig",
    "OwnerConfig",
    "PlaybackConfig",
    "RankConfig",
    "RateConfig",
    "RetryConfig",
    "SiteConfig",
    "StatusGrpcConfig",
    "StorageConfig",
    "UploadConfig",
    "WorkerConfig",
    "buckets_read",
    "load",
    "require_secret_key",
    "startup_warnings",
]
