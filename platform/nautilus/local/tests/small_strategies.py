"""What the showcase asks of deployments, by the API's shapes: each GET of one finds it a step further.

STRATEGY_BAD fails its backtest, STRATEGY_IDLE does not trade, STRATEGY_SLOW stays at its first day, STRATEGY_LOST
cannot be run.
"""

from typing import Any

DEPLOYMENTS = "/api/v1/sprint3/strategy/deployments"
STRATEGIES = "/api/v1/sprint3/strategy/strategies/"
PORTFOLIOS = "/api/v1/portfolios/"
STEPS = ("validate", "backtest", "risk", "activate")
STATUSES = ("pending", "validating", "backtesting", "backtesting", "active", "active")
FIGURES = {"sharpe": 0.761, "max_drawdown": 0.339}
NEWEST_DAY = "2022-12-28"


def asked(*strategies: str) -> list[dict[str, Any]]:
    """The body of a POST for each, on PAPER_001 and so on."""
    return [
        {"strategy_id": name, "version": 2, "portfolio_id": f"PAPER_00{number}", "environment": "paper"}
        for number, name in enumerate(strategies, 1)
    ]


class SmallStrategies:
    """`deployed` has the bodies of all POSTs, in their order."""

    def __init__(self, *known: dict[str, Any]) -> None:
        self.deployed: list[dict[str, Any]] = []
        self._known = {row["deployment_id"]: row for row in known}
        self._turn = dict.fromkeys(self._known, len(STATUSES))

    def deploy(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.deployed.append(body)
        deployment_id = f"DEPLOY_{len(self._known) + 1:03d}"
        self._known[deployment_id] = row(body, deployment_id, 0)
        self._turn[deployment_id] = 0
        return 202, {"task_id": "task", "deployment_id": deployment_id}

    def get(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]] | None:
        """None for a path that is not of deployments or their portfolios."""
        if path == DEPLOYMENTS:
            mine = [row for row in self._known.values() if [row["portfolio_id"]] == query["portfolio_id"]]
            return 200, {"count": len(mine), "next": None, "results": mine[::-1]}
        name = path.rsplit("/", 1)[1]
        if path.startswith(DEPLOYMENTS):
            return 200, self.state(name)
        if path.startswith(STRATEGIES):
            return 200, {"id": name, "name": "Momentum, 12-1 months"}
        return self._portfolio(path) if path.startswith(PORTFOLIOS) else None

    def state(self, deployment_id: str) -> dict[str, Any]:
        """The deployment as it is now; the next time it is a step further."""
        known, turn = self._known[deployment_id], self._turn[deployment_id]
        if turn < len(STATUSES):
            known = self._known[deployment_id] = row(known, deployment_id, turn)
            self._turn[deployment_id] += 1
        return known

    def _portfolio(self, path: str) -> tuple[int, dict[str, Any]]:
        if path.endswith("/trades"):
            holder = path.split("/")[-2]
            is_idle = any(
                row["strategy_id"] == "STRATEGY_IDLE" for row in self._known.values() if row["portfolio_id"] == holder
            )
            return 200, {"count": 0 if is_idle else 108, "results": []}
        return 200, {"id": path.rsplit("/", 1)[1], "value": 1_105_962.04, "as_of": NEWEST_DAY}


def row(body: dict[str, Any], deployment_id: str, turn: int) -> dict[str, Any]:
    """A deployment at one of the turns of STATUSES, as the API shows it."""
    strategy_id = body["strategy_id"]
    is_bad = strategy_id == "STRATEGY_BAD" and turn > 2
    has_traded = turn == len(STATUSES) - 1 and strategy_id not in ("STRATEGY_SLOW", "STRATEGY_LOST")
    is_lost = strategy_id == "STRATEGY_LOST" and STATUSES[turn] == "active"
    return {
        **body,
        "deployment_id": deployment_id,
        "status": "failed" if is_bad else STATUSES[turn],
        "reason": "backtest: sharpe is -0.2, expected at least 0." if is_bad else "",
        "start_date": "2022-01-03",
        "first_day": "2022-01-03" if turn > 3 else None,
        "last_day": NEWEST_DAY if has_traded else "2022-01-03" if turn > 3 else None,
        "last_error": "The sandbox cannot be locked." if is_lost else "",
        "failures_in_row": 0,
        "steps": [_step(name, place, turn) for place, name in enumerate(STEPS)],
    }


def _step(name: str, place: int, turn: int) -> dict[str, Any]:
    status = "succeeded" if place + 1 < turn else "running" if place + 1 == turn else "pending"
    is_backtested = name == "backtest" and status == "succeeded"
    return {"name": name, "status": status, "log": "", "result": {"figures": FIGURES} if is_backtested else None}
