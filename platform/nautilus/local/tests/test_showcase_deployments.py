"""The samples' deployments, on a platform of a few lines (small_strategies.py)."""

import json
from typing import Any

import pytest
from rich.console import Console

from nautilus.local.home import ROOT
from nautilus.local.showcase import show_samples
from nautilus.local.showcase.deployments import asked_samples
from nautilus.local.tests.small_sockets import SocketApi, serving
from nautilus.local.tests.small_strategies import NEWEST_DAY, SmallStrategies, asked, row


def printed(console: Console) -> str:
    return console.file.getvalue()


def line_of(console: Console, name: str) -> list[str]:
    """The words of the table's line, which follows the bars."""
    return [line for line in printed(console).splitlines() if line.startswith(name)][-1].split()


def known(deployment_id: str, status: str, turn: int = 5, **more: Any) -> dict[str, Any]:
    (body,) = asked("STRATEGY_001")
    return row(body, deployment_id, turn) | {"status": status, **more}


def test_sample_is_deployed_and_shown_with_its_backtest_and_what_it_made(serve, console):
    strategies = SmallStrategies()

    assert show_samples(serve("PORTFOLIO_001", strategies=strategies), console, asked=asked("STRATEGY_001")) == 0

    assert strategies.deployed == asked("STRATEGY_001")
    assert line_of(console, "DEPLOY_001") == [
        *("DEPLOY_001", "Momentum,", "12-1", "months,", "version", "2", "PAPER_001", "active"),
        *("0.76", "33.90%", "108", "1,105,962.04", "183.12%"),
    ]


def test_paper_portfolio_is_not_among_the_others(serve, console):
    address = serve("PORTFOLIO_001", "PAPER_001", strategies=SmallStrategies())

    assert show_samples(address, console, asked=asked("STRATEGY_001")) == 0

    assert "PAPER_001 risk" not in printed(console)
    assert [line for line in printed(console).splitlines() if line.startswith("PAPER_001 ") and "," in line] == []


@pytest.mark.parametrize("status", ["active", "rolled_back", "superseded"])
def test_what_was_deployed_before_is_not_deployed_again(serve, console, status):
    strategies = SmallStrategies(known("DEPLOY_001", status))

    code = show_samples(serve("PORTFOLIO_001", strategies=strategies), console, asked=asked("STRATEGY_001"))

    assert (code, strategies.deployed) == (0 if status == "active" else 1, [])
    assert line_of(console, "DEPLOY_001 on" if code else "DEPLOY_001")


def test_what_is_on_its_way_from_the_last_time_is_waited_for(serve, console):
    strategies = SmallStrategies(known("DEPLOY_001", "superseded"))
    strategies.deploy(asked("STRATEGY_001")[0])

    assert show_samples(serve("PORTFOLIO_001", strategies=strategies), console, asked=asked("STRATEGY_001")) == 0

    assert len(strategies.deployed) == 1
    assert line_of(console, "DEPLOY_002")[7] == "active"


def test_sample_that_failed_the_last_time_is_deployed_again(serve, console):
    strategies = SmallStrategies(known("DEPLOY_001", "failed"))

    assert show_samples(serve("PORTFOLIO_001", strategies=strategies), console, asked=asked("STRATEGY_001")) == 0

    assert strategies.deployed == asked("STRATEGY_001")
    assert line_of(console, "DEPLOY_002")[7] == "active"


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ("STRATEGY_BAD", "is failed, not active: backtest: sharpe is -0.2, expected at least 0."),
        ("STRATEGY_IDLE", "has not traded"),
        ("STRATEGY_LOST", "is active and does not run: The sandbox cannot be locked."),
    ],
)
def test_sample_that_does_not_run_makes_it_fail_and_the_others_are_shown(serve, console, strategy, why):
    address = serve("PORTFOLIO_001", strategies=SmallStrategies())

    assert show_samples(address, console, asked=asked(strategy, "STRATEGY_001")) == 1

    assert f"DEPLOY_001 on PAPER_001 {why}\n" in printed(console)
    assert line_of(console, "DEPLOY_002")[-1] == "183.12%"


def test_sample_that_does_not_come_to_the_newest_day_fails_after_the_time_allowed(serve, console):
    address = serve("PORTFOLIO_001", strategies=SmallStrategies())
    slow = asked("STRATEGY_SLOW")

    assert show_samples(address, console, asked=slow, deployment_timeout_seconds=2.0) == 1

    why = "has come to 2022-01-03 in the time allowed, and there are newer prices"
    assert f"DEPLOY_001 on PAPER_001 {why}\n" in printed(console)


def test_deployment_is_followed_by_the_socket_until_it_is_active(console):
    with serving(SocketApi()) as api:
        assert show_samples(api.address, console, asked=asked("STRATEGY_001")) == 0

    # As it is deployed, to see that it has caught up, and for its figures.
    assert api.asked.count("DEPLOY_001") == 3
    assert line_of(console, "DEPLOY_001")[7] == "active"


def test_deployment_whose_messages_are_lost_is_asked_for(console):
    with serving(SocketApi(loses="DEPLOY_001")) as api:
        assert show_samples(api.address, console, asked=asked("STRATEGY_001")) == 0

    assert api.asked.count("DEPLOY_001") > 3
    assert line_of(console, "DEPLOY_001")[7] == "active"


def test_samples_of_the_manifest_are_what_the_api_takes():
    """Each names a version and a portfolio of the manifest, so that a misspelt one does not wait for `make run`."""
    manifest = json.loads((ROOT / "sample_data" / "strategies" / "strategies.json").read_text())
    strategies = {each["id"]: each for each in manifest["strategies"]}
    portfolios = {each["portfolio_id"] for each in manifest["portfolios"]}

    for sample in asked_samples():
        assert set(sample) == {
            *("strategy_id", "version", "portfolio_id", "environment", "schedule", "start_date"),
        }
        assert sample["portfolio_id"] in portfolios
        assert 1 <= sample["version"] <= len(strategies[sample["strategy_id"]]["versions"]) + 1
        assert "2022-01-03" <= sample["start_date"] < NEWEST_DAY
