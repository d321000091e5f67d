"""Set-up of a bucket: the bucket itself, the origins whose pages may use it, and the end of abandoned uploads."""

import contextlib
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from storage.keys import VIDEOS_PREFIX
from storage.s3_errors import error_code, optional, s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ABANDONED_DAYS = 30
"""Days after which the store itself aborts a multipart upload, if nobody else has; more than an upload may be open."""


def prepare_bucket(client: "S3Client", bucket: str, *, region: str) -> None:
    """Create a private bucket if it is missing, and set what browsers may do, and what expires."""
    with s3_errors(bucket):
        _make_bucket(client, bucket, region)
        _set_origins(client, bucket)
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


def _set_origins(client: "S3Client", bucket: str) -> None:
    """Allow pages of any origin to use presigned URLs: players to read, and uploads to send parts.

    Access is granted by the URL's signature. Browsers send `Origin: null` after a cross-origin redirect, which only `*`
    matches. Some stores (MinIO) allow all origins and
    lack this operation; a key that may not change the bucket need not.
    """
    rule: Any = {
        "AllowedOrigins": ["*"],
        "AllowedMethods": ["GET", "HEAD", "PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["Content-Length", "Content-Range", "ETag"],
        "MaxAgeSeconds": 3600,
    }
    with optional("CORS rules of the bucket", "browsers can play and upload by presigned URLs only if any origin may"):
        client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})


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
