"""What the pages share: rows are read here, and written by the operations that stand behind the buttons."""

from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from rest_framework.exceptions import APIException
from unfold.admin import TabularInline
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.strategies.models import Deployment, StrategyVersion
from nautilus.api.admin import ReadOnlyAdmin
from nautilus.api.errors import DomainError

STYLES = {"all": ["strategies/admin.css"]}
SHORT_HASH = 10


class OperatingAdmin(ReadOnlyAdmin):
    """Read-only rows with buttons: an operation's refusal is a message, in the words of the API."""

    class Media:
        css = STYLES

    def attempt(self, request: HttpRequest, operation: Callable[[], str]) -> bool:
        """Does it and says what it answers, or why it was refused; whether it was done."""
        try:
            said = operation()
        except DomainError as error:
            self.message_user(request, error.sentence, messages.ERROR)
            return False
        except APIException as error:
            self.message_user(request, str(error.detail), messages.ERROR)
            return False
        self.message_user(request, said, messages.SUCCESS)
        return True

    def found(self, request: HttpRequest, object_id: str) -> Any:
        """The row of a page. Raises Http404."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404(f"There is no {self.opts.verbose_name} '{object_id}' for you.")
        return row

    def back(self, page: str, *arguments: object) -> HttpResponse:
        """What a dialog, which is HTMX's, answers: the browser goes to this page."""
        return HttpResponse(headers={"HX-Redirect": reverse(f"admin:{page}", args=arguments)})


class Written(TabularInline):
    """Rows that the platform writes beside another: whoever may see the page sees them."""

    extra = 0
    can_delete = False
    tab = True
    hide_title = True
    per_page = 25

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True


class ReasonForm(BaseDialogForm):
    reason = forms.CharField(
        max_length=1_000, widget=UnfoldAdminTextInputWidget(), help_text="Kept in the history of this page"
    )


def is_page(request: HttpRequest) -> bool:
    """One row's, and not a list's: there is what is too long for a list."""
    return request.resolver_match is not None and "object_id" in request.resolver_match.kwargs


def tinted(text: str, tone: str) -> SafeString:
    """In a colour of strategies/admin.css: beside another row a status has no label."""
    return format_html('<span class="strategies-{}">{}</span>', tone, text)


def link(page: str, key: object, text: object) -> SafeString:
    where = reverse(f"admin:strategies_{page}_change", args=[key])
    return format_html('<a class="strategies-link" href="{}">{}</a>', where, text)


def version_link(version: StrategyVersion | None) -> SafeString | None:
    return None if version is None else link("strategyversion", version.pk, f"version {version.version}")


def short_hash(version: StrategyVersion) -> SafeString:
    return format_html('<code title="{}">{}</code>', version.hash, version.hash[:SHORT_HASH])


def without_content(versions: QuerySet[Any], *through: str) -> QuerySet[Any]:
    """Without code and parameters, 100 kB each: of the versions themselves, or of those that `through` names."""
    prefixes: Iterable[str] = [f"{name}__" for name in through] or [""]
    return versions.defer(*(f"{prefix}{field}" for prefix in prefixes for field in ("code", "parameters_text")))


STATUS_COLOURS = {
    Deployment.Status.PENDING: "info",
    Deployment.Status.VALIDATING: "info",
    Deployment.Status.BACKTESTING: "info",
    Deployment.Status.AWAITING_APPROVAL: "warning",
    Deployment.Status.ACTIVE: "success",
    Deployment.Status.FAILED: "danger",
    Deployment.Status.SUPERSEDED: "default",
    Deployment.Status.ROLLED_BACK: "warning",
}
