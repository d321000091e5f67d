from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from access.models import ApiKey, Member, Owner
from access.services import key_revoke
from api.administration import Operation, ReadOnlyAdmin, badge

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """People who log in; those with `staff` come in here and see what their permissions say."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """Permissions that several people have."""


@admin.register(Member)
class MemberAdmin(ModelAdmin):
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
