"""Buckets of other people, by the aliases that the operator gave them."""

from collections.abc import Mapping

from configuration import Bucket, StorageConfig
from storage.protocol import ObjectStore
from storage.s3 import S3Config, S3Store

SCHEME = "s3://"


class Buckets:
    """The buckets that the operator allows, each as a store."""

    def __init__(self, buckets: Mapping[str, Bucket], config: StorageConfig) -> None:
        self._buckets = buckets
        self._stores: dict[str, ObjectStore] = {}
        self._config = config

    def importable(self, alias: str, *names: str) -> Bucket | None:
        """Find a bucket that an owner with these names and ids may import from."""
        found = self._buckets.get(alias)
        return found if found and found.imports and found.allows(*names) else None

    def writable(self, alias: str, *names: str) -> Bucket | None:
        """Find a bucket that outputs of such an owner may be delivered to."""
        found = self._buckets.get(alias)
        return found if found and found.destination and found.allows(*names) else None

    def store(self, bucket: Bucket) -> ObjectStore:
        """Return the store of a bucket. Keys in it begin with the bucket's prefix."""
        if bucket.alias not in self._stores:
            config = S3Config(
                bucket=bucket.bucket,
                region=bucket.region,
                endpoint_url=bucket.endpoint_url,
                access_key=bucket.access_key,
                secret_key=bucket.secret_key,
            )
            self._stores[bucket.alias] = S3Store(
                config, part_bytes=self._config.upload_part_bytes, parallel_parts=self._config.parallel_parts
            )
        return self._stores[bucket.alias]


def bucket_url_parts(url: str) -> tuple[str, str]:
    """Return alias and key of a URL such as `s3://films/2026/summer.mp4`."""
    alias, _, key = url.removeprefix(SCHEME).partition("/")
    return alias, key
