from typing import ClassVar
from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import caller, owner_of
from access.idempotency import idempotent
from access.scopes import ANY_SCOPE, Scope
from access.serializers import (
    KeyDocument,
    KeyRequest,
    NewKeyDocument,
    RotateRequest,
    ServiceDocument,
    new_key_document,
    without_key,
)
from access.services import key_create, key_find, key_revoke, key_rotate, keys_of
from access.wiring import max_owner_keys
from api.pagination import ListQuery
from api.schema import IDEMPOTENCY_KEY, PAGE_PARAMETERS, page_of
from api.views import APIView
from api.wiring import absolute_url
from observability.version import VERSION


class ServiceApi(APIView):
    scopes: ClassVar = {"GET": ANY_SCOPE}

    @extend_schema(operation_id="service", responses=ServiceDocument, tags=["system"])
    def get(self, request: Request) -> Response:
        """Show the version of the API, and the owner and scopes of the key."""
        shown = caller(request)
        return Response(
            {
                "name": "vodmill",
                "version": VERSION,
                "owner": shown.owner.name,
                "scopes": sorted(shown.scopes),
                "schema_url": absolute_url(request, reverse("schema")),
            }
        )


class KeyListApi(APIView):
    scopes: ClassVar = {"GET": Scope.ADMIN, "POST": Scope.ADMIN}

    @extend_schema(operation_id="key_list", parameters=[ListQuery, *PAGE_PARAMETERS], responses=page_of(KeyDocument))
    def get(self, request: Request) -> Response:
        """List the API keys of your owner, newest first."""
        pages, page = ListQuery.page(keys_of(owner_of(request)), request)
        return pages.get_paginated_response(KeyDocument(page, many=True).data)

    @extend_schema(
        operation_id="key_create", parameters=[IDEMPOTENCY_KEY], request=KeyRequest, responses={201: NewKeyDocument}
    )
    @idempotent(stored=without_key)
    def post(self, request: Request) -> Response:
        """Create an API key.

        It is shown only in this response. An owner may have a limited number of keys that work.
        """
        body = KeyRequest(data=request.data)
        body.is_valid(raise_exception=True)
        key, generated = key_create(owner=owner_of(request), max_keys=max_owner_keys(), **body.validated_data)
        headers = {"Location": reverse("key-detail", args=[key.id])}
        return Response(new_key_document(key, generated.text), 201, headers=headers)


class KeyDetailApi(APIView):
    scopes: ClassVar = {"GET": Scope.ADMIN, "DELETE": Scope.ADMIN}

    @extend_schema(operation_id="key_detail", responses=KeyDocument)
    def get(self, request: Request, key_id: UUID) -> Response:
        """Show an API key, without its secret."""
        return Response(KeyDocument(key_find(owner=owner_of(request), key_id=key_id)).data)

    @extend_schema(operation_id="key_revoke", responses={204: None})
    def delete(self, request: Request, key_id: UUID) -> Response:
        """Revoke an API key.

        It stops working at once.
        """
        key_revoke(owner=owner_of(request), key_id=key_id)
        return Response(status=204)


class KeyRotateApi(APIView):
    scopes: ClassVar = {"POST": Scope.ADMIN}

    @extend_schema(
        operation_id="key_rotate",
        parameters=[IDEMPOTENCY_KEY],
        request={"application/json": RotateRequest},
        responses=NewKeyDocument,
    )
    @idempotent(stored=without_key)
    def post(self, request: Request, key_id: UUID) -> Response:
        """Rotate the secret of an API key.

        The new one is shown only in this response. The previous one is accepted for a while, to be replaced in use.
        """
        body = RotateRequest(data=request.data)
        body.is_valid(raise_exception=True)
        key, generated = key_rotate(owner=owner_of(request), key_id=key_id, **body.validated_data)
        return Response(new_key_document(key, generated.text))
