from collections.abc import Mapping
from typing import IO, Any, ClassVar
from uuid import UUID

from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import owner_of
from access.idempotency import idempotent
from access.scopes import Scope
from api.pagination import ListQuery
from api.problems import Problem, not_found, too_large
from api.schema import IDEMPOTENCY_KEY, PAGE_PARAMETERS, page_of
from api.views import APIView
from transcoding.probing.images import ImageFormat
from videos.watermarks.selectors import watermarks_of
from videos.watermarks.services import MAX_BYTES, watermark_create, watermark_delete


class WatermarkDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    format = serializers.ChoiceField([each.value for each in ImageFormat])
    width = serializers.IntegerField(help_text="Pixels.")
    height = serializers.IntegerField(help_text="Pixels.")
    sha256 = serializers.CharField(help_text="Of the file, in hex.")
    created_at = serializers.DateTimeField()


class ImageBody(BaseParser):
    """The bytes of an image, which are its whole body."""

    media_type = "image/*"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - REST framework's signature
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - its types know documents and forms only
        if parser_context and parser_context["request"].headers.get("Content-Encoding", "identity") != "identity":
            raise Problem(status=415, code="unsupported_media_type", detail="The body must not be compressed.")
        data: bytes = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise too_large(f"An image has at most {MAX_BYTES} bytes.")
        return data


def _body(request: Request) -> bytes:
    """Return the bytes of the body; REST framework parses no empty one."""
    data: object = request.data
    return data if isinstance(data, bytes) else b""


class WatermarkListApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_READ, "POST": Scope.VIDEOS_WRITE}
    parser_classes = (ImageBody,)

    @extend_schema(
        operation_id="watermark_list", parameters=[ListQuery, *PAGE_PARAMETERS], responses=page_of(WatermarkDocument)
    )
    def get(self, request: Request) -> Response:
        """List the images of watermarks, newest first."""
        pages, page = ListQuery.page(watermarks_of(owner_of(request)), request)
        return pages.get_paginated_response(WatermarkDocument(page, many=True).data)

    @extend_schema(
        operation_id="watermark_create",
        parameters=[IDEMPOTENCY_KEY],
        request={f"image/{each}": OpenApiTypes.BINARY for each in ImageFormat},
        responses={201: WatermarkDocument},
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        """Upload an image for watermarks.

        The body is the file: PNG, JPEG or WebP, of at most a megabyte and 4096 pixels a side. Transparency is kept.
        """
        image = watermark_create(owner=owner_of(request), data=_body(request))
        image.refresh_from_db(fields=["created_at"])
        address = reverse("watermark-detail", args=[image.id])
        return Response(WatermarkDocument(image).data, 201, headers={"Location": address})


class WatermarkDetailApi(APIView):
    scopes: ClassVar = {"GET": Scope.VIDEOS_READ, "DELETE": Scope.VIDEOS_WRITE}

    @extend_schema(operation_id="watermark_detail", responses=WatermarkDocument)
    def get(self, request: Request, watermark_id: UUID) -> Response:
        """Show an image of watermarks."""
        image = watermarks_of(owner_of(request)).filter(id=watermark_id).first()
        if image is None:
            raise not_found("watermark")
        return Response(WatermarkDocument(image).data)

    @extend_schema(operation_id="watermark_delete", responses={204: None})
    def delete(self, request: Request, watermark_id: UUID) -> Response:
        """Delete an image of watermarks.

        Jobs that use it go on.
        """
        if not watermark_delete(owner=owner_of(request), image_id=watermark_id):
            raise not_found("watermark")
        return Response(status=204)
