"""States of the delivery of a job's outputs to a bucket of its owner's."""

from enum import StrEnum


class DeliveryState(StrEnum):
    """`pending` until the job is complete and a worker begins; `failed` may be requested again."""

    PENDING = "pending"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    FAILED = "failed"
