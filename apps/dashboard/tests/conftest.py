"""Fixtures of the pages about strategies."""

import pytest

from apps.portfolios.models import Portfolio
from apps.portfolios.tests.factories import make_portfolio, make_prices
from apps.strategies.models import Deployment, StrategyVersion
from apps.strategies.tests.api_factories import make_deployment, make_versions


@pytest.fixture
def versions() -> list[StrategyVersion]:
    return make_versions(count=2)


@pytest.fixture
def traded_book() -> Portfolio:
    make_prices()
    return make_portfolio("BOOK")


@pytest.fixture
def deployment(versions: list[StrategyVersion], traded_book: Portfolio) -> Deployment:
    return make_deployment(versions[1], traded_book)
