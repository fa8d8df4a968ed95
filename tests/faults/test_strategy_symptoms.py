"""Deployments that are stuck, rollbacks that fail, versions in conflict, a history that somebody has changed."""

from typing import Any

import pytest

from tests.faults.desk import Desk
from tests.running import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(300)]

STRATEGY = "/api/v1/sprint3/strategy"
CODE = "def target_weights(prices, params):\n    return {'AAPL': params['weight']}\n"


def new_strategy(desk: Desk, strategy_id: str) -> None:
    desk.ask("POST", f"{STRATEGY}/strategies", 201, json={"id": strategy_id, "name": strategy_id})
    post_version(desk, strategy_id, None, 0.1)


def post_version(
    desk: Desk, strategy_id: str, parent: int | None, weight: float, status: int = 201, code: str = CODE
) -> dict[str, Any]:
    body = {"parent_version": parent, "code": code, "parameters": {"weight": weight}, "message": f"weight {weight}"}
    return desk.ask("POST", f"{STRATEGY}/versions/{strategy_id}", status, json=body)


def new_book(desk: Desk, book: str) -> None:
    terms = {"base_currency": "USD", "initial_cash": 1_000_000, "inception_date": "2022-01-03"}
    desk.ask("POST", "/api/v1/portfolios", 201, json={"id": book, "name": book, **terms})


def deploy(desk: Desk, strategy_id: str, book: str, version: int = 1) -> str:
    body = {"strategy_id": strategy_id, "version": version, "portfolio_id": book, "environment": "paper"}
    accepted = desk.ask("POST", f"{STRATEGY}/deploy", 202, json={**body, "symbols": ["AAPL"], "schedule": "daily"})
    return str(accepted["deployment_id"])


def status_of(desk: Desk, deployment_id: str) -> str:
    return str(desk.ask("GET", f"{STRATEGY}/deployments/{deployment_id}")["status"])


def wait_for_status(desk: Desk, deployment_id: str, status: str) -> None:
    wait_until(lambda: status_of(desk, deployment_id) == status, 90, f"{deployment_id} to be {status}")


def test_deployment_stuck_in_pending_is_told_cleared_and_may_be_made_anew(desk, fault_line):
    line = fault_line("strategies: a deployment stuck in pending")
    new_book(desk, "STUCK_BOOK")
    new_strategy(desk, "STUCK")
    desk.platform.stop("strategy-deployer")
    try:
        stuck = deploy(desk, "STUCK", "STUCK_BOOK")
        desk.platform.run("UPDATE deployments SET created_at = created_at - interval '1 hour' WHERE id = %s", stuck)
        line.injected()
        said = desk.wait_for_symptom("deployments", "deployment-stuck", 60)
        assert stuck in said["cause"]
        line.seen(said["symptom"])
        line.cured()
        desk.ask("POST", f"{STRATEGY}/deployments/clear-stuck", json={"older_than_minutes": 30})
        assert desk.ask("GET", f"{STRATEGY}/deployments/{stuck}")["reason"].startswith("Timeout")
    finally:
        desk.platform.start("strategy-deployer")
    wait_for_status(desk, deploy(desk, "STUCK", "STUCK_BOOK"), "active")
    line.mended(lost=0)


def test_rollback_that_fails_is_told_and_what_runs_goes_on(desk, fault_line):
    line = fault_line("strategies: a rollback fails")
    new_book(desk, "BACK_BOOK")
    new_strategy(desk, "BACK")
    first = deploy(desk, "BACK", "BACK_BOOK")
    wait_for_status(desk, first, "active")
    post_version(desk, "BACK", 1, 0.2)
    second = deploy(desk, "BACK", "BACK_BOOK", version=2)
    wait_for_status(desk, second, "active")
    # What is to come back cannot pass the check against the limits.
    limit = {"portfolio_id": "BACK_BOOK", "kind": "order_notional", "threshold_value": 1.0, "action": "block"}
    limit_id = desk.ask("POST", "/api/v1/sprint3/risk/limits", 201, json=limit)["id"]
    line.injected()
    body = {"deployment_id": second, "reason": "a test"}
    accepted = desk.ask("POST", f"{STRATEGY}/rollback", 202, json=body)
    back = str(accepted["deployment_id"])
    wait_for_status(desk, back, "failed")
    said = desk.wait_for_symptom("deployments", "rollback-failing", 60)
    assert back in said["cause"]
    line.seen(said["symptom"])
    assert status_of(desk, second) == "active"
    line.cured()
    desk.ask("DELETE", f"/api/v1/sprint3/risk/limits/{limit_id}", 204)
    again = desk.ask("POST", f"{STRATEGY}/rollback", 202, json=body)
    wait_for_status(desk, str(again["deployment_id"]), "active")
    wait_for_status(desk, second, "rolled_back")
    line.mended(lost=0)


def test_versions_in_conflict_become_a_merge_request_and_are_resolved(desk, fault_line):
    line = fault_line("strategies: versions in conflict")
    new_strategy(desk, "CLASH")
    post_version(desk, "CLASH", 1, 0.2)
    line.injected()
    refused = post_version(desk, "CLASH", 1, 0.3, 409)
    (error,) = refused["errors"]
    assert error["code"] == "merge_conflict"
    line.seen(error["detail"])
    resolved = desk.ask("POST", f"{STRATEGY}/versions/CLASH/resolve", 201, json={"conflict_resolution": "latest"})
    assert (resolved["is_head"], resolved["merged_from"]) == (True, 3)
    versions = desk.ask("GET", f"{STRATEGY}/versions/CLASH")["results"]
    line.mended(lost=3 - len({version["version"] for version in versions if version["version"] <= 3}))


def test_history_that_somebody_has_changed_is_told_and_not_deployed(desk, fault_line):
    line = fault_line("strategies: a history corrupted")
    new_book(desk, "BROKEN_BOOK")
    new_strategy(desk, "BROKEN")
    _write_past_the_trigger(desk, "UPDATE strategy_versions SET message = 'forged' WHERE strategy_id = 'BROKEN'")
    line.injected()
    found = desk.ask("POST", f"{STRATEGY}/versions/BROKEN/rebuild-history")
    assert not found["valid"]
    said = desk.wait_for_symptom("deployments", "version-history-corrupted", 60)
    assert "BROKEN" in said["cause"]
    line.seen(said["symptom"])
    refused = deploy(desk, "BROKEN", "BROKEN_BOOK")
    wait_for_status(desk, refused, "failed")
    assert "BROKEN" in desk.ask("GET", f"{STRATEGY}/deployments/{refused}")["reason"]
    line.cured()
    _write_past_the_trigger(desk, "UPDATE strategy_versions SET message = 'weight 0.1' WHERE strategy_id = 'BROKEN'")
    assert desk.ask("POST", f"{STRATEGY}/versions/BROKEN/rebuild-history")["valid"]
    wait_for_status(desk, deploy(desk, "BROKEN", "BROKEN_BOOK"), "active")
    line.mended(lost=0)


def _write_past_the_trigger(desk: Desk, statement: str) -> None:
    """As somebody does who owns the database."""
    table = "ALTER TABLE strategy_versions {} TRIGGER strategy_version_is_append_only"
    desk.platform.run(f"{table.format('DISABLE')}; {statement}; {table.format('ENABLE')}")
