"""Set-up of a bucket: the bucket itself, the origins whose pages may use it, and the end of abandoned uploads."""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from storage.keys import VIDEOS_PREFIX
from storage.s3_errors import error_code, optional, s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ABANDONED_DAYS = 30
"""Days after which the store itself aborts a multipart upload, if nobody else has; more than an upload may be open."""


def prepare_bucket(client: "S3Client", bucket: str, *, region: str, upload_origins: Sequence[str]) -> None:
    """Create a private bucket if it is missing, and set what browsers may do, and what expires.

    `upload_origins`: those whose pages may send parts of uploads to presigned URLs.
    """
    with s3_errors(bucket):
        _make_bucket(client, bucket, region)
        _set_origins(client, bucket, upload_origins)
        _expire_uploads(client, bucket)


def _make_bucket(client: "S3Client", bucket: str, region: str) -> None:
    """Create the bucket unless it exists, so that no right to create buckets is needed. New buckets are private.

    Listing is a right that is needed anyway, and its refusal names the cause, which that of HEAD cannot.
    """
    try:
        client.list_objects_v2(Bucket=bucket, Prefix=VIDEOS_PREFIX, MaxKeys=1)
    except ClientError as error:
        if error_code(error) != "NoSuchBucket":
            raise
        location: Any = {}
        if region != "us-east-1":  # S3 refuses a location constraint of its default region
            location = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=bucket, **location)


def _set_origins(client: "S3Client", bucket: str, upload_origins: Sequence[str]) -> None:
    """Allow reads of any origin: browsers send `Origin: null` after a cross-origin redirect.

    Only `*` matches that. Access is granted by the URL's signature. Some stores (MinIO) allow all origins and
    lack this operation; a key that may not change the bucket need not.
    """
    reading: Any = {
        "AllowedOrigins": ["*"],
        "AllowedMethods": ["GET", "HEAD"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["Content-Length", "Content-Range", "ETag"],
        "MaxAgeSeconds": 3600,
    }
    uploading: Any = {
        "AllowedOrigins": list(upload_origins),
        "AllowedMethods": ["PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 3600,
    }
    rules = [uploading, reading] if upload_origins else [reading]
    with optional("CORS rules of the bucket", "browsers can play redirected URLs only if it allows any origin"):
        client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})


def _expire_uploads(client: "S3Client", bucket: str) -> None:
    """Let the store abort what is left open, unless somebody has given the bucket rules: ours would replace them."""
    rule: Any = {
        "ID": "vodmill-abandoned-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": VIDEOS_PREFIX},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _ABANDONED_DAYS},
    }
    with optional("lifecycle rule of the bucket", "the janitor alone aborts abandoned uploads"):
        if not _has_lifecycle(client, bucket):
            client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})


def _has_lifecycle(client: "S3Client", bucket: str) -> bool:
    try:
        return bool(client.get_bucket_lifecycle_configuration(Bucket=bucket).get("Rules"))
    except ClientError as error:
        if error_code(error) == "NoSuchLifecycleConfiguration":
            return False
        raise
