"""Runs that fail: counted where the strategy is at fault, told in any case, and rolled back at some in a row."""

import logging
from datetime import date, timedelta

from django.conf import settings
from django.utils import timezone

from apps.strategies.models import Deployment, DeploymentRun
from apps.strategies.rollback import roll_back_by_itself
from apps.strategies.running.deciding import keep_run
from apps.strategies.running.due import RETRY_SECONDS
from apps.strategies.running.stages import stage
from apps.strategies.running.words import storable, storable_json
from apps.strategies.sandbox import SandboxError, SandboxUnavailableError
from apps.strategies.states import tell, write
from nautilus.api.errors import DomainError

logger = logging.getLogger(__name__)


def count_failure(deployment: Deployment, day: date, price_version: int, error: SandboxError) -> None:
    """One more in a row, on a day that will be tried again; at LIVE_MAX_FAILURES the deployment is rolled back.

    Within RETRY_SECONDS the same day's failures are one, the first: several imports of its prices are no several days.
    The run keeps the newest error, the deployment the one that was counted. Raises DeploymentEndedError and
    MovedOnError as `stage` does.
    """
    error.detail = storable(error.detail)
    with stage(deployment.pk, deployment.last_day) as held:
        is_repeated = _is_repeated(held, day)
        keep_run(
            held,
            day,
            status=DeploymentRun.Status.FAILED,
            price_version=price_version,
            error=storable_json(error.as_dict()),
            log=storable(error.printed),
        )
        if not is_repeated:
            write(held, failures_in_row=held.failures_in_row + 1)
            _write_error(held, error)
    if reason := too_many_failures(held):
        roll_back_by_itself(held.pk, reason)


def _is_repeated(deployment: Deployment, day: date) -> bool:
    at = deployment.last_error_at
    if at is None or timezone.now() - at >= timedelta(seconds=RETRY_SECONDS):
        return False
    return deployment.runs.filter(day=day, status=DeploymentRun.Status.FAILED).exists()


def is_counted(error: DomainError) -> bool:
    """Whether the strategy is at fault, rather than the machine or the data."""
    return isinstance(error, SandboxError) and not isinstance(error, SandboxUnavailableError)


def too_many_failures(deployment: Deployment) -> str | None:
    """In words, from LIVE_MAX_FAILURES on."""
    count = deployment.failures_in_row
    if count < settings.LIVE_MAX_FAILURES:
        return None
    failures = "1 failure" if count == 1 else f"{count} failures in a row"
    return f"{failures}, the last: {deployment.last_error}"


def note_error(deployment: Deployment, error: DomainError) -> None:
    """For whoever looks at the deployment; nothing is counted. Does nothing where it has ended."""
    logger.warning("%s could not be run: %s", deployment.pk, error.sentence)
    active = Deployment.objects.filter(pk=deployment.pk, status=Deployment.Status.ACTIVE).first()
    if active is not None:
        _write_error(active, error)


def _write_error(deployment: Deployment, error: DomainError) -> None:
    write(deployment, last_error=storable(error.sentence), last_error_at=timezone.now())
    tell(deployment, "deployment.error")
