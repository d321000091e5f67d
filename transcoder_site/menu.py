"""The menu of the admin: groups of models."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst

_GROUPS = {
    "Work": {
        "jobs.job": "movie_edit",
        "jobs.step": "segment",
        "videos.video": "video_library",
        "videos.upload": "upload",
        "livestreams.livestream": "sensors",
        "livestreams.broadcast": "podcasts",
        "relay.livesession": "live_tv",
    },
    "Machines": {"jobs.node": "dns", "gpu.devicereport": "memory"},
    "Webhooks": {"events.webhookendpoint": "webhook", "events.delivery": "outgoing_mail"},
    "Access": {
        "access.apikey": "key",
        "access.owner": "apartment",
        "access.member": "badge",
        "auth.user": "person",
        "auth.group": "group",
    },
}
"""Models by group, with the names of their icons in the theme's font."""


def menu(request: HttpRequest) -> list[dict[str, Any]]:
    """Build the theme's sidebar. The theme leaves out items that the user may not see."""
    shown = {f"{each.opts.app_label}.{each.opts.model_name}": each for each in admin.site._registry.values()}  # noqa: SLF001 - Django's admin has no other list of them
    return [
        {"title": title, "items": [_item(shown[name], icon, request) for name, icon in models.items()]}
        for title, models in _GROUPS.items()
    ]


def _item(model_admin: ModelAdmin[Any], icon: str, request: HttpRequest) -> dict[str, Any]:
    opts = model_admin.opts
    permitted = model_admin.has_view_permission(request)
    return {
        "title": capfirst(opts.verbose_name_plural),
        "icon": icon,
        "link": reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"),
        "permission": lambda _: permitted,
    }
