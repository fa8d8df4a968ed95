"""Every setting, read from the environment with a type and a reason.

The defaults are the ones that are safe in production. `make run` and the tests set what a single
machine needs (nautilus/local/environment.py). A value that is missing or malformed stops the start:
the message names all of them at once, with what was expected.
"""

import os
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from environs import FileAwareEnv, validate

from nautilus.addresses import with_password
from nautilus.following import FollowingPool
from nautilus.logs.configuration import logging_config
from nautilus.navigation import admin_site
from nautilus.postgresql.naming import application_name
from nautilus.postgresql.sessions import session_options
from nautilus.redis_url import BadRedisUrlError, parse_redis_url
from nautilus.schedule import beat_schedule

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
# How long rows are kept, in days; 0: for ever. What is not named here always is (docs/time-series.md).
WEBSOCKET_METRICS_DAYS = env.int("NAUTILUS_WEBSOCKET_METRICS_DAYS", 30, validate=validate.Range(min=0, max=36_500))
TASKS_DAYS = env.int("NAUTILUS_TASKS_DAYS", 90, validate=validate.Range(min=0, max=36_500))
ALERT_DELIVERIES_DAYS = env.int("NAUTILUS_ALERT_DELIVERIES_DAYS", 365, validate=validate.Range(min=0, max=36_500))
MONITOR_FIGURES_DAYS = env.int("NAUTILUS_MONITOR_FIGURES_DAYS", 0, validate=validate.Range(min=0, max=36_500))
SESSIONS_DAYS = env.int("NAUTILUS_SESSIONS_DAYS", 1, validate=validate.Range(min=0, max=36_500))  # after their end
RETENTION_AT = env.str("NAUTILUS_RETENTION_AT", "02:15", validate=_time_of_day)  # UTC, or "off"
REPORTS_KEPT = env.int("NAUTILUS_REPORTS_KEPT", 10, validate=validate.Range(min=1, max=10_000))
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

# --- Django -------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.import_export",
    "unfold.contrib.simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "knox",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "import_export",
    "simple_history",
    "nautilus.api",
    "apps.realtime",
    "apps.tasks",
    "apps.portfolios",
    "apps.risk",
    "apps.analytics",
    "apps.strategies",
    "apps.operations",
    "apps.dashboard",
]

MIDDLEWARE = [
    "nautilus.logs.requests.RequestLog",  # the outermost: its id is on every line and in every answer
    "nautilus.counting.http.CountRequests",  # outermost: it times what a client waits for
    "nautilus.counting.http.ScrapedByAddress",
    "nautilus.compression.CompressPages",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "nautilus.api.paths.TrailingSlashMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]

ROOT_URLCONF = "nautilus.urls"
WSGI_APPLICATION = "nautilus.wsgi.application"
ASGI_APPLICATION = "nautilus.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES: dict[str, Any] = {
    # A connection a thread, kept and checked: cheaper than a pool for threads that live as long as the process,
    # and nothing that could cross a worker's fork.
    "default": dj_database_url.parse(
        DATABASE_URL, engine="nautilus.postgresql", conn_max_age=600, conn_health_checks=True
    )
}
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
DATABASES["default"]["OPTIONS"].setdefault("application_name", application_name(sys.argv))  # in pg_stat_activity
DATABASES["default"]["OPTIONS"]["options"] = session_options(
    {
        "statement_timeout": STATEMENT_TIMEOUT_SECONDS,
        "lock_timeout": LOCK_TIMEOUT_SECONDS,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_SECONDS,
        "idle_session_timeout": IDLE_SESSION_SECONDS,
    },
    DATABASES["default"]["OPTIONS"].get("options", ""),
)

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": [REDIS_URL],  # in a list, or Django splits it and reads from servers that follow the first
        "OPTIONS": {"pool_class": FollowingPool, "socket_timeout": REDIS_TIMEOUT_SECONDS},
    }
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

# In the database and not in a cookie: the admin shows a new token by a message.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = Path(STATIC_DIR) if STATIC_DIR else NAUTILUS_HOME / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

SESSION_COOKIE_SECURE = HTTPS_ONLY
CSRF_COOKIE_SECURE = HTTPS_ONLY
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_REDIRECT_EXEMPT = [r"^health$", r"^metrics$"]  # a load balancer's probe and Prometheus speak plain HTTP
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS_ONLY
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS_PROXY else None
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = IMPORT_MAX_BYTES
LOGIN_URL = "dashboard:sign-in"
# Of our own pages. The admin's Alpine needs unsafe-eval, and Swagger's page an inline script.
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/admin", "/api/docs"],
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],  # the page's own socket as well
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    },
}

vars().update({name: value for name, value in EMAIL_URL.items() if name.startswith("EMAIL_")})
EMAIL_TIMEOUT = ALERT_TIMEOUT_SECONDS

# --- The API: contract section 1 ----------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "nautilus.api.authentication.BearerAuthentication",
        "nautilus.api.authentication.AdminSessionAuthentication",
        "nautilus.api.authentication.LocalOperatorAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["nautilus.api.access.Viewer"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["nautilus.api.parsers.StrictJSONParser"],
    # What a client claims of itself in X-Forwarded-For must not give it a new throttle.
    "NUM_PROXIES": 1 if BEHIND_TLS_PROXY else 0,
    "DEFAULT_PAGINATION_CLASS": "nautilus.api.pages.Pages",
    "DEFAULT_FILTER_BACKENDS": ["nautilus.api.pages.StrictFilters", "nautilus.api.pages.StrictOrdering"],
    "DEFAULT_SCHEMA_CLASS": "drf_standardized_errors.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "COERCE_DECIMAL_TO_STRING": False,
    "DEFAULT_THROTTLE_RATES": {"credentials": "20/min"},
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

DRF_STANDARDIZED_ERRORS = {
    "EXCEPTION_HANDLER_CLASS": "nautilus.api.errors.Handler",
    "ENABLE_IN_DEBUG_FOR_UNHANDLED_EXCEPTIONS": True,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Nautilus",
    "DESCRIPTION": "Risk and analytics for trading portfolios.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "POSTPROCESSING_HOOKS": ["drf_standardized_errors.openapi_hooks.postprocess_schema_enums"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "ValidationErrorEnum": "drf_standardized_errors.openapi_serializers.ValidationErrorEnum.choices",
        "ClientErrorEnum": "drf_standardized_errors.openapi_serializers.ClientErrorEnum.choices",
        "ServerErrorEnum": "drf_standardized_errors.openapi_serializers.ServerErrorEnum.choices",
        "ErrorCode401Enum": "drf_standardized_errors.openapi_serializers.ErrorCode401Enum.choices",
        "ErrorCode403Enum": "drf_standardized_errors.openapi_serializers.ErrorCode403Enum.choices",
        "ErrorCode404Enum": "drf_standardized_errors.openapi_serializers.ErrorCode404Enum.choices",
        "TaskStatusEnum": "apps.tasks.models.Task.Status",
        "LimitKindEnum": "apps.risk.models.RiskLimit.Kind",
        "SeverityEnum": "apps.risk.models.Severity",
        "AlertChannelKindEnum": "apps.risk.models.AlertChannel.Kind",
        "AlertDeliveryStatusEnum": "apps.risk.models.AlertDelivery.Status",
        "DeploymentStatusEnum": "apps.strategies.models.Deployment.Status",
        "DeploymentStepNameEnum": "apps.strategies.representation.STEP_NAMES",
        "DeploymentStepStatusEnum": "apps.strategies.models.DeploymentStep.Status",
        "HealthStatusEnum": "apps.operations.findings.Status",
        "MergeRequestStatusEnum": "apps.strategies.models.MergeRequest.Status",
    },
}

REST_KNOX = {
    "TOKEN_TTL": timedelta(hours=TOKEN_LIFETIME_HOURS),
    "AUTH_HEADER_PREFIX": "Bearer",
    "AUTO_REFRESH": False,
}

# --- Celery: design.md decision 5 ---------------------------------------------------------------------
CELERY_BROKER_URL = parse_redis_url(REDIS_URL).base  # where there are several servers, nautilus/broker.py follows
CELERY_BROKER_TRANSPORT = "nautilus.broker:Transport"  # decision 7
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = TASK_TIME_LIMIT_SECONDS + 30
CELERY_TASK_SOFT_TIME_LIMIT = TASK_TIME_LIMIT_SECONDS
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_MEMORY_PER_CHILD = WORKER_MEMORY_MB * 1024  # KiB, of the most that it ever used
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10.0
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # the row's lease decides, not the broker
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = True  # Flower
CELERY_TASK_SEND_SENT_EVENT = False
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_DEFAULT_QUEUE = "maintenance_queue"
CELERY_TASK_ROUTES = {
    "risk.*": {"queue": "risk_queue"},
    "calculate_portfolio_performance": {"queue": "analytics_queue"},
    "analytics.*": {"queue": "analytics_queue"},
    "market_data.*": {"queue": "analytics_queue"},
    "snapshots.*": {"queue": "analytics_queue"},
    "strategy.*": {"queue": "strategy_queue"},
    "alerts.deliver": {"queue": "alerts_queue"},
}
CELERY_TASK_QUEUES: dict[str, Any] = {
    name: {} for name in ("risk_queue", "analytics_queue", "strategy_queue", "maintenance_queue", "alerts_queue")
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Above the longest time limit, or a long task is delivered twice while it runs.
    "visibility_timeout": CELERY_TASK_TIME_LIMIT + 300,
    "socket_timeout": 30,
    "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "retry_on_timeout": True,
    # How long a publisher tries to connect: the request that submits must not wait for Redis to come back, and need
    # not, because the sweep sends what could not be sent. (Workers and beat have their own retries, without end.)
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
CELERY_BEAT_SCHEDULE = beat_schedule(
    sweep_seconds=TASK_SWEEP_INTERVAL_SECONDS,
    monitor_seconds=MONITOR_INTERVAL_SECONDS,
    strategy_seconds=STRATEGY_RUN_INTERVAL_SECONDS,
    nightly_at=RISK_NIGHTLY_AT,
    retention_at=RETENTION_AT,
)
CELERY_BEAT_SCHEDULER = "nautilus.beat:LeadingScheduler"
CELERY_BEAT_SCHEDULE_FILENAME = str(NAUTILUS_HOME / "celerybeat-schedule")

# --- Logs ---------------------------------------------------------------------------------------------
LOGGING_CONFIG = "nautilus.logs.configuration.configure"
LOGGING = logging_config(
    LOG_FORMAT,
    LOG_LEVEL,
    secrets=(
        SECRET_KEY,
        DATABASE_URL,
        REDIS_URL,
        SLACK_BOT_TOKEN,
        METRICS_TOKEN,
        EMAIL_URL["EMAIL_HOST_PASSWORD"],
    ),
)


# --- The admin ----------------------------------------------------------------------------------------
# Where Flower is for a browser; `make run` gives the port of the one that it started on this machine.
_FLOWER_PORT = os.environ.get("NAUTILUS_FLOWER_PORT") if LOCAL_OPERATOR else None
FLOWER_URL = os.environ.get("NAUTILUS_FLOWER_URL") or (f"http://localhost:{_FLOWER_PORT}/" if _FLOWER_PORT else "")

LOGIN_REDIRECT_URL = "/admin/"  # for who signs in at /admin/login/ itself
UNFOLD = admin_site(FLOWER_URL or None)
