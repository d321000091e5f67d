from collections.abc import Callable, Mapping
from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from api.views import APIView
from gpu.selectors import devices_known
from gpu.serializers import GpuStatusDocument, gpu_status_document


def _nothing_used() -> Mapping[str, int]:
    return {}


class GpuStatusApi(APIView):
    """The GPU status of all worker nodes. `operations` mounts it and passes what this package does not know."""

    scopes: ClassVar = {"GET": "system:read"}  # a string, since this package may not import `access`
    slots_used: Callable[[], Mapping[str, int]] = staticmethod(_nothing_used)
    """Returns our sessions by device UUID."""
    silence_seconds: float = 0.0
    """Age of a report from which on its node counts as silent."""

    @extend_schema(operation_id="gpu_status", responses=GpuStatusDocument)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - REST framework's signature
        """Show the GPUs of all worker nodes.

        Their load, and the encoders that work on them.
        """
        document = gpu_status_document(
            devices_known(),
            silence_seconds=self.silence_seconds,
            slots_used=self.slots_used(),
        )
        return Response(GpuStatusDocument(document).data)
