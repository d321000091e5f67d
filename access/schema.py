"""Security schemes of the OpenAPI document. Loaded when the app is ready."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from access.authentication import ApiKeyAuthentication, SessionAuthentication, required_scope


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """API keys in either of two headers."""

    target_class = ApiKeyAuthentication
    name = ["bearer", "apiKeyHeader"]  # noqa: RUF012 - its attribute

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        scope = required_scope(auto_schema.view, auto_schema.method)
        return [{name: [str(scope)] if scope else []} for name in self.name]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:  # noqa: ARG002 - its signature
        return [
            {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key. Operations name the scope that they require.",
            },
            {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key, in another header."},
        ]


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Sessions of people in browsers, which are left out of the requirements of operations."""

    target_class = SessionAuthentication
    name = "session"

    def get_security_requirement(self, auto_schema: AutoSchema) -> None:  # type: ignore[override]  # noqa: ARG002
        return None

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:  # noqa: ARG002 - its signature
        return {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "Session of a logged-in person."}
