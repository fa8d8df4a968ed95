from collections.abc import Iterator
from typing import Any

import pytest

from apps.risk.tests.far_sides import Mailbox, Sink, running_mail_server, running_sink


@pytest.fixture
def sink(settings: Any) -> Iterator[Sink]:
    """A web server of this machine that alerts may reach."""
    with running_sink() as sink:
        settings.ALERT_OPEN_HOSTS = [sink.host]
        yield sink


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    """A mail server of this machine that alerts go through."""
    with running_mail_server() as (mailbox, port):
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        yield mailbox
