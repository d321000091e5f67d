"""The hooks of ingest servers as they are run in production, in a process of their own."""

from __future__ import annotations

from typing import ClassVar

from tests.api_process import ApiProcess


class IngestHooksProcess(ApiProcess):
    """Hooks on this port and the database of the tests."""

    ready_path: ClassVar = "/healthz"

    def _arguments(self) -> list[str]:
        return ["manage.py", "ingest_hooks", "--port", str(self.port)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, body: str, **headers: str) -> int:
        """Send a request, and return the status of its response."""
        client = self.connection(30)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        client.request("POST", path, body=body.encode(), headers=names)
        status = client.getresponse().status
        client.close()
        return status
