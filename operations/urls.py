from django.urls import path

from gpu.apis import GpuStatusApi
from jobs.leasing.slots import sessions_used
from operations.apis import QueueStatsApi, SystemHealthApi, SystemStatsApi, WorkersHealthApi
from operations.wiring import node_silence_seconds

gpu_status = GpuStatusApi.as_view(slots_used=sessions_used, silence_seconds=node_silence_seconds())

urlpatterns = [
    path("api/v1/system/stats", SystemStatsApi.as_view(), name="system-stats"),
    path("api/v1/system/health", SystemHealthApi.as_view(), name="system-health"),
    path("api/v1/system/gpu/status", gpu_status, name="gpu-status"),
    path("api/v1/queue/stats", QueueStatsApi.as_view(), name="queue-stats"),
    path("api/v1/workers/health", WorkersHealthApi.as_view(), name="workers-health"),
]
