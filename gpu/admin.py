from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString

from api.administration import ReadOnlyAdmin, as_json, choice_filter
from gpu.devices import DeviceKind
from gpu.models import DeviceReport


@admin.register(DeviceReport)
class DeviceReportAdmin(ReadOnlyAdmin):
    """Reported devices, with the results of their trial encodes."""

    list_display = ("node", "index", "name", "kind", "slots", "load", "memory", "temperature", "error", "reported_at")
    list_filter = (choice_filter("kind", DeviceKind),)
    list_display_links = ("name",)
    ordering = ("node", "index", "id")
    readonly_fields = (
        "node", "index", "name", "uuid", "machine", "kind", "driver", "render_node", "slots", "system_slots", "error",
        "shown_reading", "shown_verdicts", "shown_breakers", "trial_requested", "reported_at",
    )  # fmt: skip

    @admin.display(description="encoder load")
    def load(self, device: DeviceReport) -> str:
        return _shown(device.reading.get("encoder_percent"), "%")

    @admin.display(description="memory used")
    def memory(self, device: DeviceReport) -> str:
        return _shown(device.reading.get("memory_used_mb"), "MB")

    @admin.display(description="temperature")
    def temperature(self, device: DeviceReport) -> str:
        return _shown(device.reading.get("temperature_c"), "°C")

    @admin.display(description="reading")
    def shown_reading(self, device: DeviceReport) -> SafeString:
        return as_json(device.reading)

    @admin.display(description="verdicts")
    def shown_verdicts(self, device: DeviceReport) -> SafeString:
        return as_json(device.verdicts)

    @admin.display(description="breakers")
    def shown_breakers(self, device: DeviceReport) -> SafeString:
        return as_json(device.breakers)


def _shown(value: Any, unit: str) -> str:
    return "" if value is None else f"{value} {unit}"
