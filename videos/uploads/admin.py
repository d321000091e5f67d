from collections.abc import Mapping

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from access.admin import OwnerFilter
from api.administration import Operation, ReadOnlyAdmin, as_json, badge, choice_filter, link_to, uuid_of
from videos.models import Upload
from videos.playback.wiring import store
from videos.states import COMPLETE_STATES, UploadState
from videos.uploads.services import upload_abort

MIB = 1024 * 1024


def _abort(upload: Upload, _values: Mapping[str, str]) -> None:
    upload_abort(owner=upload.owner, upload_id=upload.id, store=store())


@admin.register(Upload)
class UploadAdmin(ReadOnlyAdmin):
    list_display = ("filename", "shown_state", "owner_name", "size", "protocol", "created_at", "expires_at")
    list_filter = (choice_filter("state", UploadState), OwnerFilter)
    search_fields = ("id",)
    search_help_text = "An id, or a whole external id."
    ordering = ("-created_at", "-id")
    readonly_fields = (
        "id",
        "shown_state",
        "owner_name",
        "shown_video",
        "filename",
        "size",
        "part_bytes",
        "protocol",
        "sha256",
        "external_id",
        "shown_metadata",
        "shown_transcode",
        "error_code",
        "error_detail",
        "created_at",
        "expires_at",
        "completed_at",
    )
    operations = (
        Operation(
            name="abort",
            label="Abort",
            run=_abort,
            available=lambda upload: upload.state == UploadState.OPEN,
            warning="What has arrived is removed. The client has to start again.",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Upload]:
        uploads: QuerySet[Upload] = super().get_queryset(request)
        return uploads.select_related("owner")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Upload], search_term: str
    ) -> tuple[QuerySet[Upload], bool]:
        """Search the columns that have an index."""
        if not search_term:
            return queryset, False
        upload_id = uuid_of(search_term)
        return queryset.filter(Q(id=upload_id) if upload_id else Q(external_id=search_term) & ~Q(external_id="")), False

    @admin.display(description="state")
    def shown_state(self, upload: Upload) -> SafeString:
        return badge(upload.state)

    @admin.display(description="owner")
    def owner_name(self, upload: Upload) -> str:
        return upload.owner.name

    @admin.display(description="size")
    def size(self, upload: Upload) -> str:
        return "" if upload.size_bytes is None else f"{upload.size_bytes / MIB:,.1f} MiB"

    @admin.display(description="video")
    def shown_video(self, upload: Upload) -> SafeString | str:
        return link_to("videos_video", upload.video_id) if upload.state in COMPLETE_STATES else ""

    @admin.display(description="metadata")
    def shown_metadata(self, upload: Upload) -> SafeString:
        return as_json(upload.client_metadata)

    @admin.display(description="transcode")
    def shown_transcode(self, upload: Upload) -> SafeString:
        return as_json(upload.transcode)
