"""Who is told of which portfolio's alerts, and the form that adds or changes a channel."""

from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from apps.dashboard.pages.listing import Listed, choice, paged, portfolio_choice
from apps.portfolios.access import get_visible_portfolio, visible_portfolios
from apps.portfolios.models import Portfolio
from apps.risk.alert_channels import get_channel, last_deliveries
from apps.risk.models import AlertChannel, AlertDelivery, Severity
from apps.risk.notifications import notifier_of
from apps.risk.serializers.alerts import target_for
from nautilus.api.access import has_role

PORTFOLIOS = 25
TARGETS = {
    "email": "An address, such as risk@example.com",
    "slack": "An incoming webhook's https://hooks.slack.com/services/…, a #channel or a channel's id",
    "webhook": "A https:// address; each message is a signed POST of JSON",
}
_TOLD = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class ChannelRow:
    channel: AlertChannel
    target: str
    last: AlertDelivery | None


@dataclass(frozen=True, slots=True)
class Told:
    """A portfolio with its channels; `is_any_on`: a test would reach somebody."""

    portfolio: Portfolio
    channels: list[ChannelRow] = field(default_factory=list)

    @property
    def is_any_on(self) -> bool:
        return any(row.channel.enabled for row in self.channels)


def shown_channels(request: HttpRequest) -> dict[str, Any]:
    listed: Listed = paged(request, _chosen(request), PORTFOLIOS)
    return {
        "told": _with_channels(listed.rows, request.user),
        "listed": listed,
        "is_filtered": bool(request.GET.get("portfolio_id") or request.GET.get("told")),
    }


def _chosen(request: HttpRequest) -> QuerySet[Portfolio]:
    portfolios = visible_portfolios(request.user).filter(closed_at=None).order_by("id")
    if portfolio_id := portfolio_choice(request):
        portfolios = portfolios.filter(pk=portfolio_id)
    told = choice(request, "told", _TOLD)
    if not told:
        return portfolios
    is_told = Exists(AlertChannel.objects.filter(portfolio=OuterRef("pk"), enabled=True))
    return portfolios.filter(is_told if _TOLD[told] else ~is_told)


def _with_channels(portfolios: list[Portfolio], user: Any) -> list[Told]:
    channels = AlertChannel.objects.filter(portfolio__in=portfolios).order_by("id")
    last = last_deliveries(channels)
    told = {portfolio.pk: Told(portfolio) for portfolio in portfolios}
    for channel in channels:
        row = ChannelRow(channel, target_for(user, channel), last.get(channel.pk))
        told[channel.portfolio_id].channels.append(row)
    return list(told.values())


def channel_form(request: HttpRequest) -> dict[str, Any]:
    """Of the channel that `?channel=` names; of a new one of the portfolio without."""
    if not has_role(request.user, "risk_manager"):
        raise PermissionDenied("To set up channels needs the role 'risk_manager', which your user does not have.")
    portfolio = get_visible_portfolio(request.user, request.GET.get("portfolio_id", ""))
    asked = request.GET.get("channel", "")
    channel = get_channel(portfolio, int(asked)) if asked.isascii() and asked.isdecimal() else None
    return {
        "portfolio": portfolio,
        "channel": channel,
        "target": target_for(request.user, channel) if channel else "",
        "hint": TARGETS[channel.kind] if channel else "",
        "is_signed": bool(channel and notifier_of(channel.kind).takes_secret),
        "channel_kinds": [(kind, TARGETS[kind], notifier_of(kind).takes_secret) for kind in AlertChannel.Kind.values],
        "severities": Severity.values,
    }
