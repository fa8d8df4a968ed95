"""The sockets' paths: contract section 9. With and without a slash at the end, as for HTTP."""

from django.urls import re_path

from apps.realtime.consumers import TopicConsumer, unknown_path

_ID = "[^/]+"

websocket_urlpatterns = [
    re_path(r"^ws/?$", TopicConsumer.as_asgi()),
    re_path(r"^ws/system/health/?$", TopicConsumer.for_topic("system:health")),
    re_path(rf"^ws/analytics/(?P<id>{_ID})/?$", TopicConsumer.for_topic("analytics:updates:{id}")),
    re_path(rf"^ws/risk/(?P<id>{_ID})/?$", TopicConsumer.for_topic("risk:alerts:{id}")),
    # From the start: a task may have ended before its client came.
    re_path(rf"^ws/tasks/(?P<id>{_ID})/?$", TopicConsumer.for_topic("tasks:{id}", since=0)),
    re_path("", unknown_path),  # type: ignore[arg-type]
]
