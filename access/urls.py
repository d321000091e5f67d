from django.urls import path

from access.apis import KeyDetailApi, KeyListApi, KeyRotateApi, ServiceApi

urlpatterns = [
    path("api/v1", ServiceApi.as_view(), name="service"),
    path("api/v1/keys", KeyListApi.as_view(), name="key-list"),
    path("api/v1/keys/<uuid:key_id>", KeyDetailApi.as_view(), name="key-detail"),
    path("api/v1/keys/<uuid:key_id>/rotate", KeyRotateApi.as_view(), name="key-rotate"),
]
