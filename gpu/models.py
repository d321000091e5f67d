from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from gpu.devices import DeviceKind


class DeviceReport(models.Model):
    """The last report of a worker node about one of its devices. Several nodes may report the same device."""

    node = models.TextField()
    uuid = models.TextField()
    machine = models.TextField()
    """Boot id of the machine's kernel, the same in all of its containers."""
    index = models.PositiveSmallIntegerField()
    name = models.TextField()
    kind = models.TextField()
    driver = models.TextField(blank=True)
    render_node = models.TextField(blank=True)
    error = models.TextField(blank=True)
    """Reason why the device cannot be queried; empty when it can."""
    reading = models.JSONField(default=dict)
    """`gpu.devices.Reading` as JSON."""
    verdicts = models.JSONField(default=dict)
    """`gpu.devices.Verdict` as JSON, by encoder."""
    breakers = models.JSONField(default=dict)
    """`gpu.breaker.Breaker` as JSON, by encoder; closed ones without failures are left out."""
    slots = models.PositiveIntegerField(default=0)
    """Limit of sessions on the device; 0 when no encoder works."""
    system_slots = models.PositiveIntegerField(null=True)
    """Limit of sessions on all consumer cards of the machine together; null: none."""
    takes_jobs = models.BooleanField(default=True, db_default=True)
    """False: its node is a relay, which uses the device and claims no steps of jobs."""
    trial_requested = models.BooleanField(default=False)
    """An operator requested new trial encodes."""
    reported_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "GPU"
        constraints = [
            models.UniqueConstraint(fields=["node", "uuid"], name="gpu_device_once"),
            models.CheckConstraint(name="gpu_device_kind", condition=Q(kind__in=[kind.value for kind in DeviceKind])),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.node}"
