"""A portfolio's limits as gauges: what each comes to, how near that is to where it warns and to the limit itself."""

from dataclasses import dataclass
from datetime import datetime

from apps.dashboard.pages.limit_words import title_of
from apps.dashboard.pages.overview import WORST_FIRST
from apps.portfolios.models import Portfolio
from apps.risk.limit_kinds import LIMIT_KINDS
from apps.risk.limits import limits_as_shown, shown_status, utilization
from apps.risk.models import LimitChange, RiskLimit
from apps.risk.monitoring import Freshness, monitor_freshness


@dataclass(frozen=True, slots=True)
class Gauge:
    """A limit and how it stands. `share` of the limit is used, None where that is not known; it warns at another."""

    limit: RiskLimit
    status: str
    reason: str
    evaluated_at: datetime | None
    share: float | None

    @property
    def title(self) -> str:
        return title_of(self.limit.kind)

    @property
    def unit(self) -> str:
        return LIMIT_KINDS[self.limit.kind].unit

    @property
    def warning_share(self) -> float:
        return self.limit.warning_threshold / self.limit.threshold_value

    @property
    def pending(self) -> LimitChange | None:
        """The change of it that waits for somebody else's approval."""
        waiting: list[LimitChange] = getattr(self.limit, "pending_changes", [])
        return waiting[0] if waiting else None

    @property
    def words(self) -> str:
        """The drawing, for those who do not see it."""
        used = "not known" if self.share is None else f"{min(100 * self.share, 1e6):,.0f} % of the limit"
        return f"{self.title}: {used}, {self.status}; it warns at {100 * self.warning_share:.0f} %"


@dataclass(frozen=True, slots=True)
class LimitsShown:
    """The active ones, the worst first; `idle` counts the others."""

    gauges: list[Gauge]
    idle: int
    monitor: Freshness


def limits_shown(portfolio: Portfolio) -> LimitsShown:
    limits = list(limits_as_shown().filter(portfolio=portfolio).order_by("kind", "id"))
    monitor = monitor_freshness()
    gauges = [_gauge(limit, monitor) for limit in limits if limit.active]
    gauges.sort(key=lambda gauge: (WORST_FIRST.index(gauge.status), -(gauge.share or 0.0)))
    return LimitsShown(gauges, len(limits) - len(gauges), monitor)


def kinds_for_script() -> dict[str, dict[str, str]]:
    """How each kind of limit is named, and in which unit its figures are."""
    return {name: {"title": title_of(name), "unit": kind.unit} for name, kind in LIMIT_KINDS.items()}


def _gauge(limit: RiskLimit, monitor: Freshness) -> Gauge:
    shown = shown_status(limit, monitor)
    return Gauge(limit, shown.status, shown.reason, _evaluated_at(limit, monitor), utilization(limit))


def _evaluated_at(limit: RiskLimit, monitor: Freshness) -> datetime | None:
    """The monitor writes a limit when it comes to something else; each run since then has found it the same."""
    last = monitor.monitor.last_run_at
    if limit.evaluated_at is None or limit.evaluated_at < limit.updated_at or last is None:
        return limit.evaluated_at
    return max(limit.evaluated_at, last)
