"""What the environment says, each variable with a type and a reason; nautilus/settings.py has all of it.

The defaults are the ones that are safe in production. `make run` and the tests set what a single
machine needs (nautilus/local/environment.py). A value that is missing or malformed stops the start:
the message names all of them at once, with what was expected.
"""

import os
import re
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from environs import FileAwareEnv, validate

from nautilus.addresses import with_password
from nautilus.redis_url import BadRedisUrlError, parse_redis_url

ROOT = Path(__file__).resolve().parents[2]

# NAME_FILE names a file that holds the value of NAME: secrets of containers (docs/docker.md). It goes before NAME.
env = FileAwareEnv(eager=False, strip_whitespace=True)


def _postgresql_url(value: str) -> str:
    if not value.startswith(("postgres://", "postgresql://")):
        raise validate.ValidationError("expected postgresql://user:password@host:port/database")
    return value


def _redis_url(value: str) -> str:
    try:
        parse_redis_url(value)
    except BadRedisUrlError as error:
        raise validate.ValidationError(str(error)) from error
    return value


def _secret(value: str) -> str:
    if value and len(value) < 20:
        raise validate.ValidationError(
            "expected a random text of 20 characters or more, as `openssl rand -hex 32` gives"
        )
    return value


def _http_url(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise validate.ValidationError("expected http://host:port, or nothing")
    return value


def _time_of_day(value: str) -> str:
    if value != "off" and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        raise validate.ValidationError('expected a time of the day in UTC as in 22:30, or "off"')
    return value


# --- What must be said: there is no default for these -------------------------------------------------
SECRET_KEY = env.str("NAUTILUS_SECRET_KEY", validate=validate.Length(min=32))  # signs sessions
DATABASE_URL = env.str("DATABASE_URL", validate=_postgresql_url)  # the truth
REDIS_URL = env.str("REDIS_URL", validate=_redis_url)  # queues, topics, tickets; one server or many: docs/redis.md

# For URLs that hold none; a container's come from files of their own, DATABASE_PASSWORD_FILE and REDIS_PASSWORD_FILE.
DATABASE_PASSWORD = env.str("DATABASE_PASSWORD", "")
REDIS_PASSWORD = env.str("REDIS_PASSWORD", "")

# --- Who may reach us ---------------------------------------------------------------------------------
DEBUG = env.bool("NAUTILUS_DEBUG", False)
ALLOWED_HOSTS: list[str] = env.list("NAUTILUS_ALLOWED_HOSTS", [])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("NAUTILUS_TRUSTED_ORIGINS", [])
HTTPS_ONLY = env.bool("NAUTILUS_HTTPS_ONLY", True)  # cookies only over TLS, HSTS, redirect
BEHIND_TLS_PROXY = env.bool("NAUTILUS_BEHIND_TLS_PROXY", False)  # a proxy that sets X-Forwarded-Proto
# What Prometheus sends as a bearer token to /metrics: docs/monitoring.md. Empty: it takes an operator's.
METRICS_TOKEN = env.str("NAUTILUS_METRICS_TOKEN", "", validate=_secret)
LOCAL_OPERATOR = env.bool("NAUTILUS_LOCAL_OPERATOR", False)  # set by `make run` alone; contract section 2

# --- Where things are on this machine -----------------------------------------------------------------
NAUTILUS_HOME = env.path("NAUTILUS_HOME", ROOT / ".nautilus")
MATRIX_DIR = env.path("NAUTILUS_MATRIX_DIR", None)  # price matrices, mapped by the workers
# The processes of one machine count in files there, of which /metrics gives the sums; best in memory (tmpfs).
METRICS_DIR = env.path("PROMETHEUS_MULTIPROC_DIR", None)
STATIC_DIR = env.path("NAUTILUS_STATIC_DIR", None)  # what `manage.py collectstatic` writes

# --- Sizes and times ----------------------------------------------------------------------------------
IMPORT_MAX_BYTES = env.int("NAUTILUS_IMPORT_MAX_BYTES", 64 * 2**20, validate=validate.Range(min=1024))
TASK_TIME_LIMIT_SECONDS = env.int("NAUTILUS_TASK_TIME_LIMIT_SECONDS", 300, validate=validate.Range(min=5, max=3000))
# What one estimate may take of a worker: some copies of its window in memory, 8 bytes a return each; and draws of
# simulated paths, 100 million a second or less.
RISK_MAX_WINDOW_CELLS = env.int("NAUTILUS_RISK_MAX_WINDOW_CELLS", 10_000_000, validate=validate.Range(min=1_000))
RISK_MAX_DRAWS = env.int("NAUTILUS_RISK_MAX_DRAWS", 1_000_000_000, validate=validate.Range(min=1_000))
# All portfolios at once go over the workers in chunks: some seconds of one core and some 10 MB each.
RISK_CHUNK_PORTFOLIOS = env.int("NAUTILUS_RISK_CHUNK_PORTFOLIOS", 500, validate=validate.Range(min=1, max=10_000))
RISK_CHUNK_POSITIONS = env.int("NAUTILUS_RISK_CHUNK_POSITIONS", 100_000, validate=validate.Range(min=1_000))
RISK_NIGHTLY_AT = env.str("NAUTILUS_RISK_NIGHTLY_AT", "22:30", validate=_time_of_day)  # UTC, or "off"
TASK_MAX_ATTEMPTS = env.int("NAUTILUS_TASK_MAX_ATTEMPTS", 3, validate=validate.Range(min=1, max=20))
TASK_LEASE_SECONDS = env.int("NAUTILUS_TASK_LEASE_SECONDS", 10, validate=validate.Range(min=3, max=300))
TASK_RESEND_AFTER_SECONDS = env.int("NAUTILUS_TASK_RESEND_AFTER_SECONDS", 5, validate=validate.Range(min=1, max=600))
TASK_SWEEP_INTERVAL_SECONDS = env.int("NAUTILUS_TASK_SWEEP_INTERVAL_SECONDS", 5, validate=validate.Range(min=1, max=60))
# A worker that takes no task for so long, though slots are free and messages wait, is started again: docs/workers.md.
WORKER_PATIENCE_SECONDS = env.int("NAUTILUS_WORKER_PATIENCE_SECONDS", 15, validate=validate.Range(min=3, max=25))
# A pool process that has used more memory is replaced after its task; a task that asks for more than the second fails
# (0: no limit). 500 portfolios at once take less than the first.
WORKER_MEMORY_MB = env.int("NAUTILUS_WORKER_MEMORY_MB", 1_024, validate=validate.Range(min=128, max=1_000_000))
WORKER_MEMORY_LIMIT_MB = env.int("NAUTILUS_WORKER_MEMORY_LIMIT_MB", 4_096, validate=validate.Range(min=0))
# One scheduler of several sends; it holds that right for so long at a time, in Redis.
SCHEDULER_LEASE_SECONDS = env.int("NAUTILUS_SCHEDULER_LEASE_SECONDS", 6, validate=validate.Range(min=3, max=60))
TOKEN_LIFETIME_HOURS = env.int("NAUTILUS_TOKEN_LIFETIME_HOURS", 24 * 30, validate=validate.Range(min=1))
# Limits and the monitor. Of a block limit, nobody alone may raise the threshold: docs/limits.md.
LIMIT_FOUR_EYES = env.bool("NAUTILUS_LIMIT_FOUR_EYES", True)
MONITOR_INTERVAL_SECONDS = env.int("NAUTILUS_MONITOR_INTERVAL_SECONDS", 5, validate=validate.Range(min=1, max=3600))
# Daily returns behind the VaR that limits are held against: what an analysis takes by default.
LIMIT_WINDOW_DAYS = env.int("NAUTILUS_LIMIT_WINDOW_DAYS", 500, validate=validate.Range(min=2, max=10_000))
# How far a measure must fall back below a threshold before the limit leaves that status, as a fraction of it.
LIMIT_HYSTERESIS = env.float("NAUTILUS_LIMIT_HYSTERESIS", 0.02, validate=validate.Range(min=0, max=0.5))
# Closes older than this are no prices to trade or to be calm on; 4 days span a weekend with a holiday. 0: any age.
MAX_PRICE_AGE_SECONDS = env.int("NAUTILUS_MAX_PRICE_AGE_SECONDS", 345_600, validate=validate.Range(min=0))
# An order's price may be this far from the latest close, as a fraction of it; 0: as far as it likes.
MAX_PRICE_DISTANCE = env.float("NAUTILUS_MAX_PRICE_DISTANCE", 0.5, validate=validate.Range(min=0, max=100))
# Live prices whose newest quote is older than this are stale; a feed that comes 15 minutes late needs 900 and more.
FEED_STALE_SECONDS = env.float("NAUTILUS_FEED_STALE_SECONDS", 5.0, validate=validate.Range(min=0.1, max=86_400))
# Whether the desk counts on live prices: where none come, health is then unhealthy. 0: imported closes are enough.
FEED_EXPECTED = env.bool("NAUTILUS_FEED_EXPECTED", True)
# Live figures of touched books are published this often; of each of their topics so many messages are kept: 2,400 are
# 10 minutes of 4 a second, and 3.4 MB of Redis a portfolio (docs/streaming.md).
STREAM_INTERVAL_MS = env.int("NAUTILUS_STREAM_INTERVAL_MS", 250, validate=validate.Range(min=20, max=60_000))
STREAM_HISTORY_MESSAGES = env.int("NAUTILUS_STREAM_HISTORY_MESSAGES", 2_400, validate=validate.Range(min=1, max=10_000))
RESERVATION_SECONDS = env.int("NAUTILUS_RESERVATION_SECONDS", 30, validate=validate.Range(min=1, max=86_400))
# The same order again within this counts as sent by mistake; 0: never.
DUPLICATE_ORDER_SECONDS = env.float("NAUTILUS_DUPLICATE_ORDER_SECONDS", 1.0, validate=validate.Range(min=0, max=3600))
# Alerts: who sends, through what, how often.
EMAIL_URL = env.dj_email_url("NAUTILUS_EMAIL_URL", "smtp://localhost:25/")  # smtp://user:password@host:587/?tls=True
DEFAULT_FROM_EMAIL = env.str("NAUTILUS_EMAIL_FROM", "nautilus@localhost")
SLACK_BOT_TOKEN = env.str("NAUTILUS_SLACK_BOT_TOKEN", "")  # for targets that are a #channel
SLACK_API_URL = env.str("NAUTILUS_SLACK_API_URL", "https://slack.com/api/")
# Hosts (host or host:port) that webhooks may reach by plain http and at private addresses: on-premise, tests.
ALERT_OPEN_HOSTS: list[str] = env.list("NAUTILUS_ALERT_OPEN_HOSTS", [])
ALERT_TIMEOUT_SECONDS = env.float("NAUTILUS_ALERT_TIMEOUT_SECONDS", 5.0, validate=validate.Range(min=0.1, max=60))
ALERT_MAX_ATTEMPTS = env.int("NAUTILUS_ALERT_MAX_ATTEMPTS", 120, validate=validate.Range(min=1, max=10_000))
ALERT_REPEAT_MINUTES = env.int("NAUTILUS_ALERT_REPEAT_MINUTES", 60, validate=validate.Range(min=0))  # 0: never
# Answers that are kept in Redis: docs/cache.md. One larger than the first is computed each time; of all together there
# are no more bytes than the second, because the queues live in the same Redis.
CACHE_MAX_ENTRY_BYTES = env.int("NAUTILUS_CACHE_MAX_ENTRY_BYTES", 8 * 2**20, validate=validate.Range(min=1024))
CACHE_MAX_BYTES = env.int("NAUTILUS_CACHE_MAX_BYTES", 256 * 2**20, validate=validate.Range(min=0))
# By how much longer answers live in the aggressive mode; one that has died while it computed is followed after this.
CACHE_AGGRESSIVE_FACTOR = env.int("NAUTILUS_CACHE_AGGRESSIVE_FACTOR", 12, validate=validate.Range(min=2, max=288))
CACHE_LOCK_SECONDS = env.float("NAUTILUS_CACHE_LOCK_SECONDS", 10.0, validate=validate.Range(min=0.5, max=300))
# What a database session may take before PostgreSQL ends it: docs/database.md. 0 sends no limit, so that the server's
# own stands. A statement; a wait for somebody's lock; a transaction that does nothing; a session that does nothing.
STATEMENT_TIMEOUT_SECONDS = env.float("NAUTILUS_STATEMENT_TIMEOUT_SECONDS", 30.0, validate=validate.Range(0, 3600))
LOCK_TIMEOUT_SECONDS = env.float("NAUTILUS_LOCK_TIMEOUT_SECONDS", 10.0, validate=validate.Range(0, 3600))
IDLE_IN_TRANSACTION_SECONDS = env.float("NAUTILUS_IDLE_IN_TRANSACTION_SECONDS", 60.0, validate=validate.Range(0, 3600))
IDLE_SESSION_SECONDS = env.float("NAUTILUS_IDLE_SESSION_SECONDS", 3600.0, validate=validate.Range(0, 86_400))
# Tear sheets: of each portfolio's latest so many performances that have one; a megabyte each, or more.
REPORTS_KEPT = env.int("NAUTILUS_REPORTS_KEPT", 10, validate=validate.Range(min=1, max=10_000))
# How long rows are kept, in days; 0: for ever. What is not named here always is (docs/time-series.md).
WEBSOCKET_METRICS_DAYS = env.int("NAUTILUS_WEBSOCKET_METRICS_DAYS", 30, validate=validate.Range(min=0, max=36_500))
TASKS_DAYS = env.int("NAUTILUS_TASKS_DAYS", 90, validate=validate.Range(min=0, max=36_500))
ALERT_DELIVERIES_DAYS = env.int("NAUTILUS_ALERT_DELIVERIES_DAYS", 365, validate=validate.Range(min=0, max=36_500))
MONITOR_FIGURES_DAYS = env.int("NAUTILUS_MONITOR_FIGURES_DAYS", 0, validate=validate.Range(min=0, max=36_500))
SESSIONS_DAYS = env.int("NAUTILUS_SESSIONS_DAYS", 1, validate=validate.Range(min=0, max=36_500))  # after their end
RETENTION_AT = env.str("NAUTILUS_RETENTION_AT", "02:15", validate=_time_of_day)  # UTC, or "off"
# Strategies: what a run of one may take in its sandbox (docs/sandbox.md), and who it is there where we are root.
SANDBOX_CPU_SECONDS = env.int("NAUTILUS_SANDBOX_CPU_SECONDS", 60, validate=validate.Range(min=1, max=3600))
SANDBOX_MEMORY_BYTES = env.int("NAUTILUS_SANDBOX_MEMORY_BYTES", 512 * 2**20, validate=validate.Range(min=2**26))
SANDBOX_CALL_SECONDS = env.float("NAUTILUS_SANDBOX_CALL_SECONDS", 10.0, validate=validate.Range(min=0.1, max=600))
SANDBOX_OUTPUT_BYTES = env.int("NAUTILUS_SANDBOX_OUTPUT_BYTES", 2**20, validate=validate.Range(min=1024))
SANDBOX_USER = env.str("NAUTILUS_SANDBOX_USER", "nobody")
SANDBOX_WITHOUT_SECCOMP = env.bool("NAUTILUS_SANDBOX_WITHOUT_SECCOMP", False)  # with less around it
# The closes that a strategy is given, in a backtest and when it runs: 1,260 trading days are five years.
STRATEGY_HISTORY_DAYS = env.int("NAUTILUS_STRATEGY_HISTORY_DAYS", 1_260, validate=validate.Range(min=2, max=20_000))
# Backtests of the pipeline, and what they must not be worse than (docs/strategies.md). Turnover is one-way, a year, in
# multiples of the equity; capacity in the portfolio's currency, 0 asks for none, as volumes may be unknown.
STRATEGY_BACKTEST_DAYS = env.int("NAUTILUS_STRATEGY_BACKTEST_DAYS", 1_260, validate=validate.Range(min=20, max=20_000))
STRATEGY_COST_BPS = env.float("NAUTILUS_STRATEGY_COST_BPS", 5.0, validate=validate.Range(min=0, max=1_000))
GATE_MIN_SHARPE = env.float("NAUTILUS_GATE_MIN_SHARPE", 0.0, validate=validate.Range(min=-10, max=10))
GATE_MAX_DRAWDOWN = env.float("NAUTILUS_GATE_MAX_DRAWDOWN", 0.5, validate=validate.Range(min=0, max=1))
GATE_MAX_TURNOVER = env.float("NAUTILUS_GATE_MAX_TURNOVER", 20.0, validate=validate.Range(min=0))
GATE_MIN_CAPACITY = env.float("NAUTILUS_GATE_MIN_CAPACITY", 0.0, validate=validate.Range(min=0))
GATE_MAX_PARTICIPATION = env.float("NAUTILUS_GATE_MAX_PARTICIPATION", 0.1, validate=validate.Range(min=0.0001, max=1))
# Of an active deployment: it is rolled back by itself beyond these.
LIVE_MAX_DRAWDOWN = env.float("NAUTILUS_LIVE_MAX_DRAWDOWN", 0.25, validate=validate.Range(min=0, max=1))
LIVE_MAX_FAILURES = env.int("NAUTILUS_LIVE_MAX_FAILURES", 3, validate=validate.Range(min=1, max=100))
# Orders worth less, in the portfolio's currency, are left out, in backtests as well.
STRATEGY_MIN_NOTIONAL = env.float("NAUTILUS_STRATEGY_MIN_NOTIONAL", 1.0, validate=validate.Range(min=0))
STRATEGY_MAX_GROSS = env.float("NAUTILUS_STRATEGY_MAX_GROSS", 2.0, validate=validate.Range(min=0.01, max=100))
DEPLOYMENT_STUCK_MINUTES = env.int("NAUTILUS_DEPLOYMENT_STUCK_MINUTES", 30, validate=validate.Range(min=1, max=10_080))
# How old the check against the limits may be when somebody approves a deployment to live.
APPROVAL_HOURS = env.int("NAUTILUS_APPROVAL_HOURS", 24, validate=validate.Range(min=1, max=720))
STRATEGY_RUN_INTERVAL_SECONDS = env.int("NAUTILUS_STRATEGY_RUN_INTERVAL_SECONDS", 30, validate=validate.Range(1, 3600))
# A dotted path to the class of the broker that `live` deployments trade with; empty: they are refused.
LIVE_BROKER = env.str("NAUTILUS_LIVE_BROKER", "")
HTTP_THREADS = env.int("NAUTILUS_HTTP_THREADS", 8, validate=validate.Range(min=1, max=200))
# Processes of `nautilus.serve_wsgi`, each with so many threads; `nautilus.serve` is one process always.
HTTP_PROCESSES = env.int("NAUTILUS_HTTP_PROCESSES", 1, validate=validate.Range(min=1, max=64))
# The web process: where it listens, and how long it waits for requests at its end.
HTTP_HOST = env.str("NAUTILUS_HOST", "127.0.0.1")
HTTP_PORT = env.int("NAUTILUS_PORT", 8001, validate=validate.Range(min=1, max=65_535))
HTTP_SHUTDOWN_SECONDS = env.int("NAUTILUS_HTTP_SHUTDOWN_SECONDS", 5, validate=validate.Range(min=0, max=600))
# Sockets: docs/realtime.md. Of a process; of one socket; batches go out after so many messages or so much time.
WEBSOCKET_MAX_CONNECTIONS = env.int("NAUTILUS_MAX_CONNECTIONS", 2_000, validate=validate.Range(min=1, max=100_000))
WEBSOCKET_MAX_SUBSCRIPTIONS = env.int("NAUTILUS_MAX_SUBSCRIPTIONS", 200, validate=validate.Range(min=1, max=10_000))
WEBSOCKET_FRAMES_PER_SECOND = env.float("NAUTILUS_FRAMES_PER_SECOND", 50.0, validate=validate.Range(min=1, max=1e5))
WEBSOCKET_FRAMES_BURST = env.int("NAUTILUS_FRAMES_BURST", 200, validate=validate.Range(min=1, max=100_000))
WEBSOCKET_BATCH_SIZE = env.int("NAUTILUS_BATCH_SIZE", 100, validate=validate.Range(min=1, max=1_000))
WEBSOCKET_FLUSH_INTERVAL_SECONDS = env.float("NAUTILUS_FLUSH_INTERVAL_SECONDS", 1.0, validate=validate.Range(0.01, 60))
# The server's pings; a client that answers none within two of them is closed.
WEBSOCKET_HEARTBEAT_SECONDS = env.float("NAUTILUS_HEARTBEAT_SECONDS", 20.0, validate=validate.Range(min=1, max=600))
# permessage-deflate: fewer bytes for much more time and some 40 KB a socket; for clients behind slow lines.
WEBSOCKET_DEFLATE = env.bool("NAUTILUS_WEBSOCKET_DEFLATE", False)
# What a process keeps of messages while Redis is away.
REALTIME_OUTBOX_MESSAGES = env.int("NAUTILUS_OUTBOX_MESSAGES", 10_000, validate=validate.Range(min=1, max=1_000_000))
REALTIME_OUTBOX_BYTES = env.int("NAUTILUS_OUTBOX_BYTES", 32 * 2**20, validate=validate.Range(min=1024))
REDIS_TIMEOUT_SECONDS = env.float("NAUTILUS_REDIS_TIMEOUT_SECONDS", 2.0, validate=validate.Range(min=0.1))
LOG_LEVEL = env.str("NAUTILUS_LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"]))
LOG_FORMAT = env.str("NAUTILUS_LOG_FORMAT", "json", validate=validate.OneOf(["json", "text"]))  # docs/logs.md
# Where traces go by OTLP over HTTP, as in http://collector:4318; empty: there are none.
TRACES_ENDPOINT = env.str("NAUTILUS_TRACES_ENDPOINT", "", validate=_http_url)
TRACES_SAMPLE_RATIO = env.float("NAUTILUS_TRACES_SAMPLE_RATIO", 1.0, validate=validate.Range(min=0, max=1))

try:
    env.seal()
except Exception as error:  # environs names every variable that is wrong
    raise ImproperlyConfigured(f"The environment is not right: {error}") from error

NAUTILUS_HOME = Path(NAUTILUS_HOME).expanduser().resolve()
MATRIX_DIR = Path(MATRIX_DIR) if MATRIX_DIR else NAUTILUS_HOME / "matrices"
DATABASE_URL = with_password(DATABASE_URL, DATABASE_PASSWORD)
REDIS_URL = with_password(REDIS_URL, REDIS_PASSWORD)
# Where Flower is for a browser; `make run` gives the port of the one that it started on this machine.
_FLOWER_PORT = os.environ.get("NAUTILUS_FLOWER_PORT") if LOCAL_OPERATOR else None
FLOWER_URL = os.environ.get("NAUTILUS_FLOWER_URL") or (f"http://localhost:{_FLOWER_PORT}/" if _FLOWER_PORT else "")
