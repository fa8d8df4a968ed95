"""What every admin page shares, and users, groups and tokens.

Signing in needs the staff flag; what a user may see and do there follows the role (contract section 2): superusers and
admins everything, risk managers read all, set trading states and approve deployments, operators work with tasks and
roll deployments back, strategists read versions and resolve merges. The others have no pages.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from knox.models import AuthToken
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from nautilus.api.access import ADMIN, ROLES, has_role


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


class AdminsOnly(RoleAdmin):
    """Open to the role `admin`, not to superusers alone as Django's own pages are."""

    readers = ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, ())


@admin.register(User)
class OurUserAdmin(AdminsOnly, UserAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "email", "roles", "is_staff", "is_superuser", "is_active", "last_login"]
    list_filter = ["groups", "is_staff", "is_superuser", "is_active"]
    actions = ["make_token"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    @display(description="Roles and desks", label=True)
    def roles(self, user: User) -> list[str]:
        return [group.name for group in user.groups.all()]

    @admin.action(description="Make a token for the chosen users (shown once)", permissions=["change"])
    def make_token(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse:
        # In this very answer: a message would travel through the browser's cookies first.
        made = [AuthToken.objects.create(user=user) for user in queryset]
        where = {"opts": AuthToken._meta, "list_url": reverse("admin:knox_authtoken_changelist")}
        context = {**self.admin_site.each_context(request), **where, "title": "Tokens made", "made": made}
        return TemplateResponse(request, "admin/knox/authtoken/made.html", context)


@admin.register(Group)
class OurGroupAdmin(AdminsOnly, GroupAdmin):
    """A role keeps its name and stays: the code asks for it by name. All other groups are desks."""

    list_display = ["name", "kind"]

    @display(label={"role": "primary", "desk": "info"})
    def kind(self, group: Group) -> str:
        return "role" if group.name in ROLES else "desk"

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> list[str]:
        return ["name"] if obj and obj.name in ROLES else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.name in ROLES)


@admin.register(AuthToken)
class TokenAdmin(ReadOnlyAdmin):
    """Made from the list of users, revoked here. The hash is the row's key, but is neither shown nor logged."""

    readers = ()
    actions = ["revoke"]
    list_display = ["first_characters", "user", "created", "expiry"]
    list_display_links = None
    list_filter = ["user"]
    search_fields = ["user__username"]
    list_select_related = ["user"]
    ordering = ["-created"]
    fields = ["first_characters", "user", "created", "expiry"]
    readonly_fields = ["first_characters", "user", "created", "expiry"]

    @admin.display(description="Token")
    def first_characters(self, token: AuthToken) -> str:
        return f"{token.token_key[:6]}…"

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        nameless = {"title": "Token", "subtitle": None, "original": "Token"}  # Django would name it by its hash
        return super().change_view(request, object_id, form_url, {**nameless, **(extra_context or {})})

    # Django's page of confirmation would show the hashes, and its log would keep them.
    @admin.action(description="Revoke", permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[AuthToken]) -> None:
        for token in queryset.select_related("user"):
            named = f"token {self.first_characters(token)} of {token.user}"
            token.delete()
            _log_revoked(request, named)
            self.message_user(request, f"The {named} is revoked.", messages.SUCCESS)


def _log_revoked(request: HttpRequest, named: str) -> None:
    LogEntry.objects.create(
        user=request.user,  # type: ignore[misc]  # the page is for those who are signed in
        content_type=ContentType.objects.get_for_model(AuthToken),
        object_repr=named,
        action_flag=DELETION,
    )
