"""`/risk/limits`: contract section 6, changes that wait for approval, and the history of a limit."""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.portfolios.access import get_visible_portfolio, visible_portfolios
from apps.risk.errors import ChangeNotFoundError, LimitNotFoundError
from apps.risk.limit_history import history_of
from apps.risk.limits import (
    approve_change,
    change_limit,
    create_limit,
    delete_limit,
    limits_as_shown,
    reject_change,
)
from apps.risk.models import LimitChange, RiskLimit
from apps.risk.monitoring import monitor_freshness
from apps.risk.serializers.limits import (
    ChangeLimitSerializer,
    CreateLimitSerializer,
    HistoryEntrySerializer,
    LimitChangeSerializer,
    LimitSerializer,
    ReasonSerializer,
)
from nautilus.api.access import RiskManager, Viewer
from nautilus.api.pages import PAGE_PARAMETERS, refuse_unknown_parameters
from nautilus.api.serializers import StrictSerializer
from nautilus.api.views import ApiView


class LimitFilter(filters.FilterSet):
    portfolio_id = filters.CharFilter()  # one that may not be seen and one that is not there find the same: nothing
    symbol = filters.CharFilter(field_name="instrument_id")
    # django-filter's own takes any other word for no filter at all.
    active = filters.TypedChoiceFilter(
        choices=[("true", "true"), ("false", "false")], coerce=lambda text: text == "true"
    )
    status = filters.ChoiceFilter(choices=RiskLimit.Status.choices, help_text="As the monitor saw it last")

    class Meta:
        model = RiskLimit
        fields = ["portfolio_id", "kind", "status", "active", "action", "symbol"]


def _presented(limits: Iterable[RiskLimit]) -> list[dict[str, Any]]:
    context = {"freshness": monitor_freshness()}
    return list(LimitSerializer(limits, many=True, context=context).data)


def _visible_limits(user: Any) -> QuerySet[RiskLimit]:
    return limits_as_shown().filter(portfolio__in=visible_portfolios(user))


def _visible_limit(user: Any, limit_id: int) -> RiskLimit:
    limit = _visible_limits(user).filter(pk=limit_id).first()
    if limit is None:
        raise LimitNotFoundError(limit_id)
    return limit


def _limit(user: Any, limit_id: int, status: int = 200, **more: Any) -> Response:
    return Response(_presented([_visible_limit(user, limit_id)])[0], status=status, **more)


class LimitsView(ApiView):
    roles = {"GET": Viewer, "POST": RiskManager}
    serializer_class = LimitSerializer
    filterset_class = LimitFilter
    ordering_fields = ["id", "portfolio_id", "kind", "threshold_value", "current_value", "created_at", "updated_at"]
    queryset = RiskLimit.objects.none()

    def get_queryset(self) -> QuerySet[RiskLimit]:
        return _visible_limits(self.request.user)

    @extend_schema(responses=LimitSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Limits on the portfolios that the caller may see, with what the monitor saw of each."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(_presented(page or []))

    @extend_schema(request=CreateLimitSerializer, responses={201: LimitSerializer})
    def post(self, request: Request) -> Response:
        """Set a limit: it counts from the next check and the monitor's next run on."""
        asked = _asked(CreateLimitSerializer, request)
        portfolio = get_visible_portfolio(request.user, asked.pop("portfolio_id"))
        kind, reason = asked.pop("kind"), asked.pop("reason")
        limit = create_limit(portfolio.pk, kind, asked, user=request.user, reason=reason)
        location = f"/api/v1/sprint3/risk/limits/{limit.pk}"
        return _limit(request.user, limit.pk, 201, headers={"Location": location})


class LimitView(ApiView):
    roles = {"GET": Viewer, "PATCH": RiskManager, "DELETE": RiskManager}
    serializer_class = LimitSerializer
    queryset = RiskLimit.objects.none()

    def get(self, request: Request, limit_id: int) -> Response:
        """One limit."""
        return _limit(request.user, limit_id)

    @extend_schema(request=ChangeLimitSerializer, responses={200: LimitSerializer, 202: LimitSerializer})
    def patch(self, request: Request, limit_id: int) -> Response:
        """Change a limit: 200, or 202 where it loosens a limit that blocks and so waits for somebody else."""
        changes = _asked(ChangeLimitSerializer, request)
        reason = changes.pop("reason")
        _visible_limit(request.user, limit_id)
        _, waiting = change_limit(limit_id, changes, user=request.user, reason=reason)
        return _limit(request.user, limit_id, 202 if waiting else 200)

    @extend_schema(request=ReasonSerializer, responses={204: None, 202: LimitSerializer})
    def delete(self, request: Request, limit_id: int) -> Response:
        """Delete a limit: 204, or 202 where it blocks and so waits for somebody else."""
        reason = _asked(ReasonSerializer, request)["reason"]
        _visible_limit(request.user, limit_id)
        waiting = delete_limit(limit_id, user=request.user, reason=reason)
        return _limit(request.user, limit_id, 202) if waiting else Response(status=204)


def _asked(serializer_class: type[StrictSerializer], request: Request) -> dict[str, Any]:
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class LimitHistoryView(ApiView):
    roles = {"GET": Viewer}
    serializer_class = HistoryEntrySerializer
    filter_backends = []
    queryset = RiskLimit.objects.none()

    @extend_schema(responses=HistoryEntrySerializer(many=True))
    def get(self, request: Request, limit_id: int) -> Response:
        """Who changed a limit, when, why, and what from what to what, newest first; also of a deleted one."""
        refuse_unknown_parameters(request, PAGE_PARAMETERS - {"ordering"})
        entries: Any = history_of(limit_id, visible_portfolios(request.user))
        page = self.paginate_queryset(entries)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class ApproveChangeView(ApiView):
    roles = {"POST": RiskManager}
    serializer_class = LimitChangeSerializer
    queryset = LimitChange.objects.none()

    @extend_schema(request=None)
    def post(self, request: Request, limit_id: int, change_id: int) -> Response:
        """Let a change take effect that somebody else has asked for."""
        _check_change_is_of(limit_id, change_id)
        return Response(LimitChangeSerializer(approve_change(change_id, user=request.user)).data)


class RejectChangeView(ApiView):
    roles = {"POST": RiskManager}
    serializer_class = LimitChangeSerializer
    queryset = LimitChange.objects.none()

    @extend_schema(request=None)
    def post(self, request: Request, limit_id: int, change_id: int) -> Response:
        """Drop a change that somebody else has asked for; the limit stays as it is."""
        _check_change_is_of(limit_id, change_id)
        return Response(LimitChangeSerializer(reject_change(change_id, user=request.user)).data)


def _check_change_is_of(limit_id: int, change_id: int) -> None:
    if not LimitChange.objects.filter(pk=change_id, limit=limit_id).exists():
        raise ChangeNotFoundError(change_id)
