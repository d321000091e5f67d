"""The boto3 client of one endpoint."""

from typing import TYPE_CHECKING

from boto3.session import Session
from botocore.config import Config

from storage.s3_checksums import register_content_md5
from storage.s3_metrics import register_request_metrics

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from storage.s3 import S3Config

CONNECT_SECONDS = 3
"""Also how long a new connection may take nothing of what is sent."""
READ_SECONDS = 20
ATTEMPTS = 5
CONNECTIONS = 64


def s3_client(config: "S3Config", endpoint_url: str) -> "S3Client":
    """Build a client, which is thread-safe."""
    client_config = Config(
        signature_version="s3v4",
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
        tcp_keepalive=True,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},  # exponential, with full jitter
        # Some S3-compatible stores refuse newer checksums, and others do not look at them: see s3_checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            "addressing_style": "path" if endpoint_url else "auto",
            "payload_signing_enabled": False,  # Content-MD5 is signed, and names the bytes
        },
    )
    session = Session(
        aws_access_key_id=config.access_key or None,
        aws_secret_access_key=config.secret_key or None,
        region_name=config.region,
    )
    client = session.client("s3", endpoint_url=endpoint_url or None, config=client_config)
    register_request_metrics(client.meta.events)
    register_content_md5(client.meta.events)
    return client
