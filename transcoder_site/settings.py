"""Django's settings, derived from the Config that is loaded here."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from configuration import Config, DatabaseConfig, load
from observability.logs import logging_settings
from observability.version import VERSION

TRANSCODER: Config = load(os.environ)

_site = TRANSCODER.site

SECRET_KEY = _site.secret_key
DEBUG = _site.debug
LOGGING = logging_settings(_site.log_level)
ALLOWED_HOSTS = [*_site.allowed_hosts, *filter(None, [_site.public_host])]

INSTALLED_APPS = [
    "unfold",  # before the admin, whose site and templates it replaces
    "django.contrib.admin.apps.SimpleAdminConfig",  # its pages are loaded with the URLs: workers have none
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "access",
    "gpu",
    "events",
    "videos",
    "jobs",
    "livestreams",
    "operations",
    "workers",
    "status_grpc",
    "webui",
    "relay",
]

ROOT_URLCONF = "transcoder_site.urls"
ASGI_APPLICATION = "transcoder_site.asgi.application"
APPEND_SLASH = False
MIDDLEWARE = [
    "transcoder_site.probes.Probes",
    "api.request_metrics.RequestMetrics",
    "access.rates.RateHeaders",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "api.responses.ApiEtags",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "transcoder_site.policies.ContentPolicy",
    "transcoder_site.pages.BrowsablePages",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "webui.wiring.page_context",
            ]
        },
    }
]
STATIC_URL = f"{_site.url_prefix}/static/"  # served by transcoder_site.files
STATICFILES_DIRS = [Path(__file__).parent / "static"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "webui:library"
UNFOLD = {
    "SITE_TITLE": "vodmill",
    "SITE_HEADER": "vodmill",
    "SITE_SYMBOL": "movie",
    "SITE_URL": None,
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": "transcoder_site.menu.menu"},
    "LOGIN": {"form": "access.login.OperatorLogin"},
    "DASHBOARD_CALLBACK": "operations.overview.overview",
}

FORCE_SCRIPT_NAME = _site.url_prefix or None
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = f"{_site.url_prefix}/"
CSRF_TRUSTED_ORIGINS = [*filter(None, [_site.public_origin])]
SECURE_SSL_REDIRECT = _site.https
SECURE_HSTS_SECONDS = _site.hsts_seconds if _site.https else 0
SECURE_SSL_HOST = urlsplit(_site.public_origin).netloc or None
SESSION_COOKIE_SECURE = _site.https
CSRF_COOKIE_SECURE = _site.https
CSRF_FAILURE_VIEW = "api.problems.csrf_failure"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "UserAttributeSimilarityValidator")
]
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains would affect hosts that are not ours
    "security.W021",  # HSTS preloading is the decision of the domain's owner
]


# Detects a server that is gone without closing its connections within seconds. A process that is frozen in the middle
# of a transaction, such as by the pause of its machine, loses its transaction before the lease of its step has expired:
# else nobody could take over what it has locked. Parameters of the URL take precedence.
_DATABASE_TIMEOUTS = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "options": "-c idle_in_transaction_session_timeout=10s",
}


def _database(config: DatabaseConfig) -> dict[str, Any]:
    """Convert a postgresql:// URL to Django's settings of a database."""
    url = urlsplit(config.database_url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.removeprefix("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname or "",
        "PORT": str(url.port or ""),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": _DATABASE_TIMEOUTS | dict(parse_qsl(url.query)),
    }


DATABASES = {"default": _database(TRANSCODER.database)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "transcoder_site.formats"

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["api.parsing.ShallowJson"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "api.negotiation.LenientNegotiation",
    "DEFAULT_AUTHENTICATION_CLASSES": [  # the first one sets the WWW-Authenticate header of a 401
        "access.authentication.ApiKeyAuthentication",
        "access.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["access.authentication.HasScope"],  # refuses views without a scope
    "DEFAULT_THROTTLE_CLASSES": ["access.rates.RateLimit"],
    "EXCEPTION_HANDLER": "api.problems.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "vodmill",
    "DESCRIPTION": "A video goes in, a ladder that every player can play comes out.",
    "VERSION": VERSION,
    "CONTACT": {"name": "The operators of this installation"},
    "LICENSE": {"name": "MIT", "url": "https://opensource.org/license/mit"},
    "SERVERS": [{"url": f"{_site.public_origin}{_site.url_prefix}" or "/", "description": "This installation."}],
    "TAGS": [
        {"name": "events", "description": "Streams of what happens to videos and jobs."},
        {
            "name": "jobs",
            "description": "Transcoding jobs: state, plan, outputs, and commands such as cancel and retry.",
        },
        {"name": "keys", "description": "API keys of your owner."},
        {"name": "live", "description": "Sessions of live streams over HTTP. The relay serves the streams."},
        {"name": "livestreams", "description": "Live streams by RTMP: keys, broadcasts, recordings, health."},
        {"name": "queue", "description": "The queues of steps."},
        {"name": "system", "description": "Statistics and health of the platform and its GPUs."},
        {"name": "uploads", "description": "Uploads in parts, which can be resumed."},
        {"name": "usage", "description": "What an owner stores and has had encoded."},
        {"name": "videos", "description": "Uploading, transcoding, playback and deletion of videos."},
        {"name": "watermarks", "description": "Images that jobs draw on their outputs."},
        {"name": "webhooks", "description": "Endpoints that events are posted to, and their deliveries."},
        {"name": "workers", "description": "The worker nodes."},
    ],
    "OAS_VERSION": "3.1.0",
    "DEFAULT_GENERATOR_CLASS": "api.schema.DocumentGenerator",
    "SCHEMA_PATH_PREFIX": "/api/v1",  # the next part of the path is the tag of an operation
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "api.schema.add_problems",
        "api.schema.describe_operations",
        "jobs.endpoints.event_schema.add_webhooks",
    ],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,  # it would repeat each value
    "ENUM_NAME_OVERRIDES": {  # several documents have a `state` or a `status`
        "JobState": "jobs.endpoints.serializers.JOB_STATES",
        "HealthState": "operations.apis.HEALTH_STATES",
        "EndpointState": "events.webhooks.serializers.ENDPOINT_STATES",
        "DeliveryState": "events.webhooks.serializers.DELIVERY_STATES",
        "PlaybackState": "videos.serializers.PLAYBACK_STATES",
        "TextState": "videos.serializers.TEXT_STATES",
        "UploadState": "videos.uploads.serializers.UPLOAD_STATES",
        "ThumbnailState": "videos.serializers.THUMBNAIL_STATES",
        "LivestreamState": "livestreams.endpoints.serializers.STATES",
        "BroadcastState": "livestreams.endpoints.serializers.BROADCAST_STATES",
        "PresetEnum": "jobs.endpoints.requests.PRESET_NAMES",
        "LivestreamPreset": "livestreams.endpoints.requests.PRESET_NAMES",
        "CodecEnum": "jobs.endpoints.requests.CODECS",
        "EventType": "events.types.EVENT_TYPES",
    },
}

# A message is only a ticket: never acknowledged, without result or retry. See docs/adr/0005-message-acknowledgement.md.
CELERY_BROKER_URL = TRANSCODER.broker.broker_url
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_CONCURRENCY = TRANSCODER.worker.worker_slots
CELERY_TASK_DEFAULT_QUEUE = TRANSCODER.worker.queues[0]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # unused, and any client of the broker could shut workers down
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
