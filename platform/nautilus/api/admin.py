"""What every admin page shares, and users, groups and tokens.

Signing in needs the staff flag; what a user may see and do there follows the role (contract section 2): superusers and
admins everything, risk managers read all and set trading states, operators work with tasks. The others have no pages.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import HttpRequest
from knox.models import AuthToken
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from nautilus.api.access import ADMIN, has_role


class RoleAdmin(ModelAdmin):
    """An admin page open by role: `readers` and `writers` name the roles besides `admin`."""

    readers: tuple[str, ...] = ("risk_manager",)
    writers: tuple[str, ...] = ()
    list_per_page = 50
    compressed_fields = True

    def _may(self, request: HttpRequest, roles: tuple[str, ...]) -> bool:
        return any(has_role(request.user, role) for role in (ADMIN, *roles))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request, self.readers)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, self.readers)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request, self.writers)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, self.writers)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyAdmin(RoleAdmin):
    """Rows that the platform writes: to look at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


admin.site.unregister(User)
admin.site.unregister(Group)
if admin.site.is_registered(AuthToken):  # knox brings a page of its own, which shows digests
    admin.site.unregister(AuthToken)


@admin.register(User)
class OurUserAdmin(UserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    actions = ["make_token"]

    @admin.action(description="Make a token for the chosen users (shown once)")
    def make_token(self, request: HttpRequest, queryset: Any) -> None:
        if not has_role(request.user, ADMIN):
            self.message_user(request, "Only an admin makes tokens for others.", messages.ERROR)
            return
        for user in queryset:
            row, token = AuthToken.objects.create(user=user)
            text = f"{user.get_username()}: {token} (until {row.expiry:%Y-%m-%d}). It is not shown again."
            self.message_user(request, text, messages.WARNING)


@admin.register(Group)
class OurGroupAdmin(GroupAdmin, ModelAdmin):
    pass


@admin.register(AuthToken)
class TokenAdmin(RoleAdmin):
    """Revoking is deleting. The token itself is nowhere: only its hash is kept."""

    readers = ()
    list_display = ["first_characters", "user", "created", "expiry"]
    list_filter = ["user"]
    search_fields = ["user__username"]
    list_select_related = ["user"]
    fields = ["first_characters", "user", "created", "expiry"]
    readonly_fields = ["first_characters", "user", "created", "expiry"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, ())

    @admin.display(description="Token")
    def first_characters(self, token: AuthToken) -> str:
        return f"{token.token_key[:6]}…"
