"""What all pages of the dashboard share: who may open them, where they stand in the navigation, how they fail.

A page is a subclass of `Page`. A GET answers with `template_name`; where htmx asks, with the template that `fragments`
names for the element that is to be filled (`HX-Target`), from the same context.
"""

import logging
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.utils import Error as DatabaseError
from django.db.utils import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.generic import TemplateView
from redis.exceptions import RedisError
from rest_framework.exceptions import APIException

from apps.dashboard.navigation import entries_for
from apps.operations.findings import Finding
from apps.operations.stores import database_finding, redis_finding
from apps.portfolios.access import visible_portfolios
from nautilus.api.access import ROLES, has_role, roles_of
from nautilus.api.errors import DomainError

logger = logging.getLogger(__name__)

EVERYBODY = ("viewer", "operator")


class Page(TemplateView):
    """`title` is the heading, `entry` the navigation's entry it belongs to, `roles` those of which one is needed."""

    http_method_names = ["get", "head", "options"]
    title: ClassVar[str] = ""
    entry: ClassVar[str] = ""
    roles: ClassVar[tuple[str, ...]] = EVERYBODY
    fragments: ClassVar[dict[str, str]] = {}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            if not request.user.is_authenticated:
                return _to_sign_in(request)
            return self._answer(request, *args, **kwargs)
        except DomainError as error:
            return error_page(request, error.status, error.detail, error.remedy)
        except APIException as error:
            return error_page(request, error.status_code, str(error.detail))
        except PermissionDenied as error:
            return error_page(request, HTTPStatus.FORBIDDEN, str(error))
        except Http404 as error:
            return error_page(request, HTTPStatus.NOT_FOUND, str(error))
        except (OperationalError, InterfaceError, RedisError) as error:
            return self.store_failed(request, error)

    def store_failed(self, request: HttpRequest, error: DatabaseError | RedisError) -> HttpResponseBase:
        """Of a store that does not answer: nothing more is asked of it for the frame around the words."""
        logger.warning("%s could not be shown: %s", request.path, error)
        request.user = AnonymousUser()
        symptom = finding_of(error).symptom
        return error_page(request, HTTPStatus.SERVICE_UNAVAILABLE, f"{symptom}.", "Try again in some seconds.")

    def _answer(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self._check_role()
        response = super().dispatch(request, *args, **kwargs)
        if hasattr(response, "render"):
            response.render()  # now, so that what a template asks for fails here as well
        response["Cache-Control"] = "no-store"  # whoever signs out must not be shown it by the way back
        return response

    def _check_role(self) -> None:
        if not any(has_role(self.request.user, role) for role in self.roles):
            needed = "' or '".join(self.roles)
            raise PermissionDenied(f"This page needs the role '{needed}', which your user does not have.")

    def get_template_names(self) -> list[str]:
        target = self.request.headers.get("HX-Target", "") if self.request.headers.get("HX-Request") else ""
        return [self.fragments.get(target, str(self.template_name))]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | frame_of(self.request) | {"title": self.title, "entry": self.entry}


def finding_of(error: DatabaseError | RedisError) -> Finding:
    """What an error of PostgreSQL or Redis says of the store, as health has it."""
    return redis_finding(error) if isinstance(error, RedisError) else database_finding(error)


def frame_of(request: HttpRequest) -> dict[str, Any]:
    """What the frame around every page needs: `may.trader` and the like, the navigation, the portfolios to choose."""
    held = roles_of(request.user)
    portfolios = visible_portfolios(request.user).filter(closed_at=None).order_by("id").values("id", "name")
    return {
        "may": {role: role in held for role in ROLES},
        "entries": entries_for(held),
        "portfolios_to_choose": portfolios,
        "admin_url": reverse("admin:index") if request.user.is_staff else "",
        "flower_url": settings.FLOWER_URL if {"operator", "admin"} & held else "",
    }


def error_page(request: HttpRequest, status: int, detail: str, remedy: str = "") -> HttpResponse:
    """The same words that the API answers with; to htmx as a line that takes the place of what was asked for."""
    said = {"status": int(status), "reason": HTTPStatus(status).phrase, "detail": detail, "remedy": remedy}
    if request.headers.get("HX-Request"):
        return render(request, "dashboard/parts/failed.html", said, status=status)
    return render(request, "dashboard/error.html", said | frame_of(request) | {"title": said["reason"]}, status=status)


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    """A fragment cannot show the sign-in page: htmx is told to leave for it, and to come back to the page around it."""
    if not request.headers.get("HX-Request"):
        return HttpResponseRedirect(_sign_in_before(request.get_full_path()))
    shown = request.headers.get("HX-Current-URL", "")
    is_ours = url_has_allowed_host_and_scheme(shown, {request.get_host()}, require_https=request.is_secure())
    address = _sign_in_before(urlsplit(shown)._replace(scheme="", netloc="", fragment="").geturl() if is_ours else "")
    return HttpResponse(status=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": address})


def _sign_in_before(path: str) -> str:
    """The sign-in page, which leads on to `path` if that is one of this host."""
    return reverse("dashboard:sign-in", query={"next": path} if path else None)
