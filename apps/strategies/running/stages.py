"""One stage of a run: a transaction that holds the deployment and may go on only where it is as the runner left it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from django.db import transaction

from apps.strategies.errors import DeploymentEndedError
from apps.strategies.models import Deployment
from apps.strategies.states import hold_deployment


class MovedOnError(Exception):
    """Another runner has dealt with the day meanwhile: what this one knows is old."""


@contextmanager
def stage(deployment_id: str, last_day: date | None) -> Iterator[Deployment]:
    """`last_day` is what the runner believes. Raises DeploymentEndedError, MovedOnError, before anything is written."""
    with transaction.atomic():
        deployment = hold_deployment(deployment_id)
        if deployment.status != Deployment.Status.ACTIVE:
            raise DeploymentEndedError
        if deployment.last_day != last_day:
            raise MovedOnError
        yield deployment
