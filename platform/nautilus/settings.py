"""Settings of Django and of the libraries; what the environment has a say in stands in nautilus/variables.py."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url

from nautilus.following import FollowingPool
from nautilus.logs.configuration import logging_config
from nautilus.navigation import admin_site
from nautilus.postgresql.naming import application_name
from nautilus.postgresql.sessions import session_options
from nautilus.redis_url import parse_redis_url
from nautilus.schedule import beat_schedule
from nautilus.variables import *

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
LOGIN_REDIRECT_URL = "/admin/"  # for who signs in at /admin/login/ itself
UNFOLD = admin_site(FLOWER_URL or None)
