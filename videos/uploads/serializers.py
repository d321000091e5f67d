"""Requests and documents of uploads in parts."""

from typing import Any

from rest_framework import serializers

from api.fields import Choice, StrictInteger, StrictSerializer
from api.pagination import LabelledQuery
from storage.parts import MAX_PARTS
from videos.states import UploadProtocol, UploadState
from videos.uploads.form import clean_filename

MAX_SIGNED = 1000
"""Parts of which one request can get the URLs."""
_MAX_RAW_FILENAME = 4096
_MAX_ETAG = 200
UPLOAD_STATES = [state.value for state in UploadState]


class FileName(serializers.CharField):
    """A file's name, which is only text: it is cleaned like that of a form."""

    def __init__(self, *, help_text: str) -> None:
        super().__init__(
            max_length=_MAX_RAW_FILENAME,
            required=False,
            allow_blank=True,
            trim_whitespace=False,
            help_text=help_text,
        )

    def to_internal_value(self, data: Any) -> str:  # noqa: ANN401 - its own signature
        return clean_filename(super().to_internal_value(data).encode(errors="replace"))


class UploadQuery(LabelledQuery):
    """Filters of a list of uploads."""

    state = Choice(choices=UPLOAD_STATES, required=False, help_text="Only the uploads in this state.")


class PartNumbers(StrictSerializer):
    """The parts whose URLs are requested."""

    numbers = serializers.ListField(
        child=StrictInteger(min_value=1, max_value=MAX_PARTS),
        min_length=1,
        max_length=MAX_SIGNED,
        help_text="Numbers of parts, from 1.",
    )


class SentPart(StrictSerializer):
    """A part as the client knows it."""

    number = StrictInteger(min_value=1, max_value=MAX_PARTS)
    etag = serializers.CharField(max_length=_MAX_ETAG, help_text="As the response to its PUT had it; quotes may stay.")


class CompleteRequest(StrictSerializer):
    """The parts that the client has sent, which need not be named."""

    parts = SentPart(
        many=True,
        required=False,
        max_length=MAX_PARTS,  # type: ignore[call-arg]  # of the list
        help_text="They are compared with what is there.",
    )


class ReceivedPart(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    size = serializers.IntegerField(help_text="Bytes.")
    etag = serializers.CharField()


class PartUrl(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    size = serializers.IntegerField(help_text="Bytes: the body must have exactly as many.")
    url = serializers.URLField(
        help_text="PUT the bytes here: in the object store, without a key; or in this API, with your key, where clients"
        " cannot reach the store."
    )


class PartUrls(serializers.Serializer[Any]):
    parts = PartUrl(many=True)


class UploadError(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()


class UploadSummary(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    url = serializers.URLField(help_text="Of this document.")
    state = serializers.ChoiceField(
        UPLOAD_STATES,
        help_text="open: parts may arrive. verifying: all has arrived and is compared with the checksum. ready: it is a"
        " video. failed: `error` says why. aborted, expired: nothing of it is left.",
    )
    protocol = serializers.ChoiceField([protocol.value for protocol in UploadProtocol])
    filename = serializers.CharField()
    size = serializers.IntegerField(allow_null=True, help_text="Bytes of the whole file. Null: its client will say.")
    part_size = serializers.IntegerField(help_text="Bytes of every part but the last.")
    part_count = serializers.IntegerField(allow_null=True)
    external_id = serializers.CharField(allow_null=True)
    metadata = serializers.DictField()
    video_id = serializers.UUIDField(allow_null=True, help_text="Null until all has arrived.")
    job_id = serializers.UUIDField(allow_null=True, help_text="The job that was requested with it, once it is queued.")
    error = UploadError(
        allow_null=True, help_text="The reason of its failure; of a ready one, why the job was not queued."
    )
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(help_text="It is aborted then, unless something arrives before.")
    completed_at = serializers.DateTimeField(allow_null=True)


class UploadDocument(UploadSummary):
    received = serializers.IntegerField(help_text="Bytes that have arrived: in parts that are there as a whole.")
    received_parts = ReceivedPart(many=True, help_text="The parts that are there, while the upload is open.")
    parts = PartUrl(
        many=True,
        help_text="URLs of the first parts, in the response to the request that opened it; `POST …/parts` has more.",
    )
