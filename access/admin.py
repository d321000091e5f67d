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

_MAX_OWNERS = 200


class OwnerFilter(admin.SimpleListFilter):
    """Filter by owner. Offers the first `_MAX_OWNERS` by name, whether or not they have rows."""

    title = "owner"
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        owners = Owner.objects.order_by("name")[:_MAX_OWNERS]
        return [(str(owner.id), owner.name) for owner in owners]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = uuid_of(self.value() or "")
        return queryset.filter(owner=chosen) if chosen else queryset


class SuperuserOnly:
    """Allow changes to superusers only: a person who can change users, groups or members can become anybody."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser


@admin.register(User)
class UserAdmin(SuperuserOnly, DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """Accounts of people. Those with `staff` can use the admin within their permissions."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(SuperuserOnly, DjangoGroupAdmin, ModelAdmin):
    """Groups of permissions."""


@admin.register(Member)
class MemberAdmin(SuperuserOnly, ModelAdmin):
    """Owners that people act for in the API. Edited here directly, since no other rows depend on these."""

    list_display = ("user", "owner_name")
    list_select_related = ("user", "owner")
    autocomplete_fields = ("user", "owner")
    ordering = ("user__username",)

    @admin.display(description="owner")
    def owner_name(self, member: Member) -> str:
        return member.owner.name


@admin.register(Owner)
class OwnerAdmin(ReadOnlyAdmin):
    """Owners of videos, jobs and keys."""

    list_display = ("name", "id", "created_at")
    search_fields = ("name",)
    ordering = ("name",)
    readonly_fields = ("name", "id", "created_at")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys of all owners. Secrets are not stored, and hashes are not shown."""

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
            available=lambda key: key.revoked_at is None,
            warning="A revoked key never works again. Programs that use it are refused at once.",
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
