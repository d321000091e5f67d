"""Builds the object store from the settings."""

from pathlib import Path

from configuration import Config, StorageConfig
from storage.checking import Findings, StoreChecks, findings
from storage.local import LocalStore
from storage.protocol import ObjectStore
from storage.s3 import S3Config, S3Store
from storage.s3_checking import S3Checks


def store_from(config: StorageConfig) -> ObjectStore:
    """Build the store. Its methods are thread-safe, so a process needs one."""
    if config.storage == "local":
        return LocalStore(Path(config.local_storage_path), part_bytes=config.upload_part_bytes)
    s3_config = S3Config(
        bucket=config.s3_bucket,
        region=config.s3_region,
        endpoint_url=config.s3_endpoint_url,
        public_endpoint_url=config.s3_public_endpoint_url,
        access_key=config.s3_access_key,
        secret_key=config.s3_secret_key,
    )
    return S3Store(
        s3_config,
        part_bytes=config.upload_part_bytes,
        parallel_parts=config.parallel_parts,
    )


def check_store(config: Config) -> Findings:
    """Try the store out, and yield what is found."""
    store = store_from(config.storage)
    redirects = config.playback.playback_delivery == "redirect"
    return findings(S3Checks(store, redirects=redirects) if isinstance(store, S3Store) else StoreChecks(store))
