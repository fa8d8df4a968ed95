"""The sample strategies with their versions, and paper portfolios for them: sample_data/strategies."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection, transaction

from apps.portfolios.models import Portfolio
from apps.portfolios.opening import open_portfolio
from apps.portfolios.sample_book import GROUP
from apps.strategies.errors import MergeConflictError
from apps.strategies.models import Strategy
from apps.strategies.strategies import create_strategy
from apps.strategies.versions import post_version

_LOADING_LOCK = 0x6E617574_07


@dataclass(frozen=True, slots=True)
class Loaded:
    """`versions` counts those that were posted and those that merged them; `merge_requests` are open."""

    strategies: int
    versions: int
    merge_requests: int
    portfolios: int


@transaction.atomic
def load_sample_strategies(folder: Path) -> Loaded | None:
    """Whatever of `folder`/strategies.json is not there yet, by its id, all or nothing; None where all of it is.

    The sample book must be loaded: the portfolios' benchmark is of it. Raises OSError, DomainError.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOADING_LOCK])
    manifest = json.loads((folder / "strategies.json").read_text())
    strategies = [fields for fields in manifest["strategies"] if not _is_there(Strategy, fields["id"])]
    portfolios = [fields for fields in manifest["portfolios"] if not _is_there(Portfolio, fields["portfolio_id"])]
    if not strategies and not portfolios:
        return None
    for fields in portfolios:
        _open(fields)
    made = [_make(folder / fields["folder"], fields) for fields in strategies]
    versions = sum(strategy.versions.count() for strategy in made)
    merge_requests = sum(strategy.merge_requests.count() for strategy in made)
    return Loaded(len(made), versions, merge_requests, len(portfolios))


def _is_there(model: type[Strategy] | type[Portfolio], name: str) -> bool:
    return model.objects.filter(pk=name).exists()


def _open(fields: dict[str, Any]) -> None:
    group, _ = Group.objects.get_or_create(name=GROUP)
    typed = {
        "initial_cash": Decimal(fields["initial_cash"]),
        "inception_date": date.fromisoformat(fields["inception_date"]),
    }
    open_portfolio(**{**fields, **typed}, groups=[group])


def _make(folder: Path, fields: dict[str, Any]) -> Strategy:
    strategy = create_strategy(name=fields["name"], description=fields["description"], strategy_id=fields["id"])
    for version in fields["versions"]:
        _post(strategy, (folder / f"v{version['version']}.py").read_text(), version)
    return strategy


def _post(strategy: Strategy, code: str, version: dict[str, Any]) -> None:
    with suppress(MergeConflictError):  # it is kept with its merge request, which is one of the samples
        post_version(
            strategy.pk,
            parent_version=version["parent"],
            code=code,
            parameters=version["parameters"],
            message=version["message"],
            author=version["author"],
        )
