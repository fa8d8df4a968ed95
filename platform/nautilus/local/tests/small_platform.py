"""A platform of a few lines for the launcher's tests: a web server that knows the API's shapes, and a Celery worker.

As a script it is the web server; as a module, `celery -A` finds its app. The first poll of a task finds it
running, the next one ended. PORTFOLIO_BAD's risk job fails.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from celery import Celery

from nautilus.local.tests.small_strategies import SmallStrategies

app = Celery("small_platform", broker=os.environ.get("REDIS_URL"))

RISK_RESULT = {"portfolio_value": 3_631_775.22, "var": 97_010.09, "expected_shortfall": 118_440.60}
METRICS = {"total_return": 1.8312, "annual_return": 0.139, "sharpe": 0.814, "max_drawdown": -0.3149}
ERROR = {"code": "insufficient_history", "detail": "AAPL has 3 returns, 500 are needed.", "remedy": "Import prices."}


class Api(BaseHTTPRequestHandler):
    """What the showcase asks for, and nothing else."""

    portfolios = ("PORTFOLIO_001", "PORTFOLIO_002")
    tasks: dict[str, dict[str, Any]] = {}
    strategies = SmallStrategies()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/health":
            return self._answer(200, {"status": "healthy"})
        if url.path == "/api/v1/portfolios":
            return self._answer(200, self._page(int(parse_qs(url.query).get("page", ["1"])[0])))
        if found := self.strategies.get(url.path, parse_qs(url.query)):
            return self._answer(*found)
        return self._answer(200, self._next_state(url.path.rsplit("/", 1)[1]))

    def do_POST(self) -> None:
        inputs = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/strategy/deploy"):
            return self._answer(*self.strategies.deploy(inputs))
        kind = "risk" if self.path.endswith("/risk/analyze") else "performance"
        if kind == "performance" and set(inputs) != {"portfolio_id", "start_date", "end_date"}:
            return self._answer(400, {"type": "validation_error", "errors": [{"code": "required"}]})
        return self._answer(202, {"task_id": f"{kind}-{inputs['portfolio_id']}", "status": "processing"})

    def _page(self, number: int) -> dict[str, Any]:
        """One portfolio a page."""
        name = self.portfolios[number - 1]
        url = f"http://{self.headers['Host']}/api/v1/portfolios?page={number + 1}"
        portfolio = {"id": name, "cash": 6_833.52, "inception_date": "2015-01-02", "as_of": "2022-12-28"}
        return {"results": [portfolio], "next": url if number < len(self.portfolios) else None}

    def _next_state(self, task_id: str) -> dict[str, Any]:
        task = {"task_id": task_id, "status": "processing", "progress": None, "result": None, "error": None}
        if task_id not in self.tasks:
            task["progress"] = {"done": 1, "total": 2, "message": "half way", "eta_seconds": 0.1}
        elif task_id == "risk-PORTFOLIO_BAD":
            task |= {"status": "failed", "error": ERROR}
        elif task_id != "risk-PORTFOLIO_SLOW":
            task |= {"status": "succeeded", "result": RISK_RESULT if "risk" in task_id else {"metrics": METRICS}}
        self.tasks[task_id] = task
        return task

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: the answers are what counts."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
