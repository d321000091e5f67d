from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from access.models import ApiKey, Member, Owner
from access.services import key_revoke
from api.administration import Operation, ReadOnlyAdmin, badge, uuid_of

admin.site.unregister(User)
admin.site.unregister(Group)

_MOST_OWNERS = 200


class OwnerFilter(admin.SimpleListFilter):
    """By owner: the first of them by name, and the one that was asked for; which of them have jobs is not counted."""

    title = "owner"
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        owners = Owner.objects.order_by("name")[:_MOST_OWNERS]
        return [(str(owner.id), owner.name) for owner in owners]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = uuid_of(self.value() or "")
        return queryset.filter(owner=chosen) if chosen else queryset


class ByRoot:
    """Whoever changes users, groups and members can become anybody: superusers do. Others may be permitted to look."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser


@admin.register(User)
class UserAdmin(ByRoot, DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """People who log in; those with `staff` come in here and see what their permissions say."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(ByRoot, DjangoGroupAdmin, ModelAdmin):
    """Permissions that several people have."""


@admin.register(Member)
class MemberAdmin(ByRoot, ModelAdmin):
    """For whom a person acts in the API. Nothing depends on these rows, so they are edited here."""

    list_display = ("user", "owner_name")
    list_select_related = ("user", "owner")
    autocomplete_fields = ("user", "owner")
    ordering = ("user__username",)

    @admin.display(description="owner")
    def owner_name(self, member: Member) -> str:
        return member.owner.name


@admin.register(Owner)
class OwnerAdmin(ReadOnlyAdmin):
    """Whoever videos, jobs and keys belong to."""

    list_display = ("name", "id", "created_at")
    search_fields = ("name",)
    ordering = ("name",)
    readonly_fields = ("name", "id", "created_at")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys of all owners; what they are made of is kept nowhere and their hashes are not shown."""

    list_display = (
        "name", "prefix", "shown_state", "owner_name", "shown_scopes", "created_at", "expires_at", "last_used_at",
    )  # fmt: skip
    list_filter = (OwnerFilter,)
    list_select_related = ("owner",)
    ordering = ("-created_at", "-id")
    search_fields = ("prefix", "name")
    readonly_fields = (
        "name", "prefix", "shown_state", "owner_name", "shown_scopes", "created_at", "expires_at", "last_used_at",
        "previous_until", "revoked_at",
    )  # fmt: skip
    operations = (
        Operation(
            name="revoke",
            label="Revoke",
            run=lambda key, _: key_revoke(owner=key.owner, key_id=key.id),
            offered=lambda key: key.revoked_at is None,
        ),
    )

    @admin.display(description="state")
    def shown_state(self, key: ApiKey) -> SafeString:
        expired = key.expires_at is not None and key.expires_at <= timezone.now()
        return badge("revoked" if key.revoked_at else "expired" if expired else "active")

    @admin.display(description="owner")
    def owner_name(self, key: ApiKey) -> str:
        return key.owner.name

    @admin.display(description="scopes")
    def shown_scopes(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)
