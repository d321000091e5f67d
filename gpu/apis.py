from collections.abc import Callable, Mapping
from typing import ClassVar

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gpu.selectors import devices_known
from gpu.serializers import GpuStatusDocument, gpu_status_document


def _nothing_used() -> Mapping[str, int]:
    return {}


class GpuStatusApi(APIView):
    """`slots_used` tells our sessions by device; whoever mounts this view and knows the steps gives it."""

    scopes: ClassVar = {"GET": "system:read"}  # by its name: access lies beside this package
    slots_used: Callable[[], Mapping[str, int]] = staticmethod(_nothing_used)

    @extend_schema(operation_id="gpu_status", responses=GpuStatusDocument)
    def get(self, request: Request) -> Response:  # noqa: ARG002 - REST framework's signature
        """Show the GPUs of all worker nodes.

        Their load, and the encoders that work on them.
        """
        document = gpu_status_document(
            devices_known(),
            silence_seconds=settings.TRANSCODER.lease.node_silence_seconds,
            slots_used=self.slots_used(),
        )
        return Response(GpuStatusDocument(document).data)
