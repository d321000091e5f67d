from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from gpu.devices import DeviceKind


class DeviceReport(models.Model):
    """A device as the worker node that uses it last described it; several nodes may describe the same device.

    `machine` is the same for all nodes of one machine, whatever containers they are in. `reading` and `verdicts` are
    the values of `gpu.devices`, verdicts by encoder; `slots` is how many sessions the node's settings give the device,
    0 where nothing works, `system_slots` how many all consumer cards of the machine have together. `breakers` has
    failures and the end of the pause by encoder. `error`: why nothing can be asked of the device.
    """

    node = models.TextField()
    uuid = models.TextField()
    machine = models.TextField()
    index = models.PositiveSmallIntegerField()
    name = models.TextField()
    kind = models.TextField()
    driver = models.TextField(blank=True)
    render_node = models.TextField(blank=True)
    error = models.TextField(blank=True)
    reading = models.JSONField(default=dict)
    verdicts = models.JSONField(default=dict)
    breakers = models.JSONField(default=dict)
    slots = models.PositiveIntegerField(default=0)
    system_slots = models.PositiveIntegerField(null=True)
    trial_wanted = models.BooleanField(default=False)
    reported_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "GPU"
        constraints = [
            models.UniqueConstraint(fields=["node", "uuid"], name="gpu_device_once"),
            models.CheckConstraint(name="gpu_device_kind", condition=Q(kind__in=[kind.value for kind in DeviceKind])),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.node}"
