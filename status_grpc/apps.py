from django.apps import AppConfig


class StatusGrpcConfig(AppConfig):
    """The Django application of the gRPC status service."""

    name = "status_grpc"
