"""Traces are off unless a setting says where they go, and then nothing of them is loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nautilus.tests.otlp_sink import running_sink

ROOT = Path(__file__).parents[3]
STARTS = "import django, sys; django.setup(); import nautilus.celery, nautilus.wsgi\n"
# Its metrics are imported by redis-py wherever they are installed.
OURS = tuple(f"opentelemetry.{name}" for name in ("instrumentation", "exporter", "sdk.trace"))
NAMES = f"print([name for name in sys.modules if name.startswith({OURS})])"
SENDS = """
from opentelemetry import trace
trace.get_tracer('t').start_span('said').end()
trace.get_tracer_provider().shutdown()
"""


def run(code: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **settings, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_without_an_endpoint_nothing_that_traces_is_imported() -> None:
    assert run(STARTS + NAMES, NAUTILUS_TRACES_ENDPOINT="").stdout.strip() == "[]"


def test_spans_arrive_at_the_endpoint() -> None:
    with running_sink() as sink:
        done = run(STARTS + SENDS, NAUTILUS_TRACES_ENDPOINT=sink.address, NAUTILUS_PROCESS="of-a-test")
        assert done.returncode == 0, done.stderr
        assert [(span.name, span.process) for span in sink.spans] == [("said", "of-a-test")]


def test_none_are_sampled_at_a_ratio_of_zero() -> None:
    with running_sink() as sink:
        settings = {"NAUTILUS_TRACES_ENDPOINT": sink.address, "NAUTILUS_TRACES_SAMPLE_RATIO": "0"}
        assert run(STARTS + SENDS, **settings).returncode == 0
        assert sink.spans == []


def test_collector_that_is_away_holds_up_nothing() -> None:
    done = run(STARTS + "print('goes on')", NAUTILUS_TRACES_ENDPOINT="http://127.0.0.1:9")
    assert done.stdout.strip() == "goes on"


@pytest.mark.parametrize("endpoint", ["collector:4318", "grpc://collector"])
def test_endpoint_that_is_no_http_address_stops_the_start(endpoint: str) -> None:
    done = run(STARTS, NAUTILUS_TRACES_ENDPOINT=endpoint)
    assert done.returncode != 0
    assert "NAUTILUS_TRACES_ENDPOINT" in done.stderr
    assert "expected http://host:port" in done.stderr
