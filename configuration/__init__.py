"""Settings: declared once as frozen dataclasses, read once from TRANSCODER_* variables."""

from configuration.loading import ConfigurationError, load
from configuration.sections import (
    BrokerConfig,
    Config,
    DatabaseConfig,
    EncodeConfig,
    EventConfig,
    ExecutionConfig,
    GpuConfig,
    JanitorConfig,
    LeaseConfig,
    LimitConfig,
    PlaybackConfig,
    RankConfig,
    RetryConfig,
    SiteConfig,
    StorageConfig,
    UploadConfig,
    WorkerConfig,
)

__all__ = [
    "BrokerConfig",
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
    "PlaybackConfig",
    "RankConfig",
    "RetryConfig",
    "SiteConfig",
    "StorageConfig",
    "UploadConfig",
    "WorkerConfig",
    "load",
]
