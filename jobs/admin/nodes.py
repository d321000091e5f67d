"""Admin pages of worker nodes."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from api.administration import (
    Operation,
    ReadOnlyAdmin,
    as_json,
    badge,
    choice_filter,
)
from jobs.admin.panels import node_panels
from jobs.leasing.nodes import node_order
from jobs.models import Node, NodeState


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    """Worker nodes as they last registered, with actions that drain and activate them."""

    list_display = ("name", "shown_state", "queues", "slots", "isolation", "pid", "started_at", "last_seen")
    list_filter = (choice_filter("state", NodeState.values),)
    readonly_fields = ("name", "shown_state", "queues", "slots", "pid", "shown_info", "started_at", "last_seen")
    ordering = ("name",)
    change_form_outer_after_template = "administration/tables.html"
    operations = (
        Operation(
            name="drain",
            label="Drain",
            run=lambda node, _: node_order(name=node.name, state=NodeState.DRAINING),
            available=lambda node: node.state == NodeState.ACTIVE,
        ),
        Operation(
            name="activate",
            label="Activate",
            run=lambda node, _: node_order(name=node.name, state=NodeState.ACTIVE),
            available=lambda node: node.state == NodeState.DRAINING,
        ),
    )

    def panels(self, request: HttpRequest, row: Node) -> dict[str, object]:
        return {"tables": node_panels(row)}

    @admin.display(description="state")
    def shown_state(self, node: Node) -> SafeString:
        return badge(node.state)

    @admin.display(description="isolation")
    def isolation(self, node: Node) -> str:
        return str(node.info.get("isolation", ""))

    @admin.display(description="info")
    def shown_info(self, node: Node) -> SafeString:
        return as_json(node.info)
