"""Presigned URLs of the parts of an upload, up to a thousand at a time."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from botocore.awsrequest import AWSRequest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def signed_part_urls(  # noqa: PLR0913, PLR0917 - a part, and who signs it
    client: "S3Client", bucket: str, key: str, upload_id: str, sizes: Mapping[int, int], expires_seconds: int
) -> dict[int, str]:
    """Sign a PUT of each part, by its number. The signature includes the length, so that nobody sends more.

    The same URLs as those of `generate_presigned_url`, which builds a whole request for each: that takes three times
    as long. It finds the address, here, and the signer is botocore's.
    """
    parameters: Any = {"Bucket": bucket, "Key": key, "UploadId": upload_id, "PartNumber": 1}
    address, _, _ = client.generate_presigned_url("upload_part", Params=parameters).partition("?")
    signer = cast("Any", client)._request_signer  # noqa: SLF001 - the client has no other access to its credentials
    auth = signer.get_auth_instance("s3", client.meta.region_name, "s3v4-query", expires=expires_seconds)
    query = f"uploadId={quote(upload_id, safe='-_.~')}&partNumber="
    urls = {}
    for number, size in sizes.items():
        request = AWSRequest("PUT", f"{address}?{query}{number}", headers={"Content-Length": str(size)})
        auth.add_auth(request)
        urls[number] = str(request.url)
    return urls
