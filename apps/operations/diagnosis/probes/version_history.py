"""Whether the versions of every strategy are what their hashes say."""

from collections.abc import Iterator

from django.db.models import Exists, F, OuterRef

from apps.operations.diagnosis.registry import Diagnosis, Store, register_probe
from apps.operations.findings import Finding, Status
from apps.strategies.errors import HistoryBrokenError
from apps.strategies.models import Deployment, StrategyVersion
from apps.strategies.version_history import check_version

SECTION = "version-history-corrupted"


@register_probe("version-history", Store.POSTGRESQL)
def look() -> Diagnosis:
    """Chains of versions against their hashes, and deployments against the versions they were asked for with"""
    tips = list(_tips())
    findings = [*_broken(tips), *_deployments()]
    detail = f"{len({tip.strategy_id for tip in tips})} strategies, {StrategyVersion.objects.count()} versions read."
    return Diagnosis(detail, tuple(findings))


def _tips() -> Iterator[StrategyVersion]:
    """The versions that none comes from: with what each comes from, these are all."""
    children = StrategyVersion.objects.filter(parent=OuterRef("pk"))
    merged = StrategyVersion.objects.filter(merged_from=OuterRef("pk"))
    yield from StrategyVersion.objects.exclude(Exists(children)).exclude(Exists(merged)).order_by("strategy", "version")


def _broken(tips: list[StrategyVersion]) -> Iterator[Finding]:
    """One finding a strategy: the first that is wrong is behind all that come from it."""
    seen: set[str] = set()
    for tip in tips:
        if tip.strategy_id in seen:
            continue
        try:
            check_version(tip)
        except HistoryBrokenError as error:
            seen.add(tip.strategy_id)
            yield _finding(tip.strategy_id, f"{tip.strategy_id}'s history is not what its hashes say.", error.detail)


def _deployments() -> Iterator[Finding]:
    for deployment in Deployment.objects.exclude(version_hash=F("version__hash")).select_related("version")[:20]:
        yield _finding(
            deployment.strategy_id,
            f"{deployment.pk} was asked for with another version than it names now.",
            f"It was {deployment.version_hash}, and version {deployment.version.version} is {deployment.version.hash}.",
        )


def _finding(strategy_id: str, symptom: str, cause: str) -> Finding:
    path = f"/api/v1/sprint3/strategy/versions/{strategy_id}/rebuild-history"
    return Finding(Status.UNHEALTHY, symptom, cause, f"curl -X POST http://localhost:8001{path}", SECTION)
