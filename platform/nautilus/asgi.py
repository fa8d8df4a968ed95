"""One address: HTTP by Django as WSGI in threads, sockets by Channels (design.md, decision 1)."""
# ruff: noqa: E402 - Django is set up before anything that needs its models

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus.settings")
django.setup()

from typing import Any

from a2wsgi import WSGIMiddleware
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings

from apps.operations.quick_paths import QuickPaths
from apps.operations.watching import HealthWatch
from apps.realtime.admission import Admission
from apps.realtime.authentication import SocketAuthentication
from apps.realtime.lifespan import Lifespan
from apps.realtime.routing import websocket_urlpatterns
from apps.tasks.waiting import LongPoll
from nautilus.settled import settle
from nautilus.wsgi import application as django_over_wsgi

over_wsgi: Any = django_over_wsgi  # its types are narrower than WSGI's
http: Any = WSGIMiddleware(over_wsgi, workers=settings.HTTP_THREADS)
http = LongPoll(http)  # waits for a task's end outside of the threads
http = QuickPaths(over_wsgi, otherwise=http)  # not behind requests that hang in the database

sockets = Admission(SocketAuthentication(URLRouter(websocket_urlpatterns)))

application = ProtocolTypeRouter({"http": http, "websocket": sockets, "lifespan": Lifespan(HealthWatch())})

settle()
