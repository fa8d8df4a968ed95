"""Asking the REST API, and what its answers mean to somebody who waits."""

import time
from collections.abc import Iterator
from typing import Any

import httpx

API = "/api/v1"
POLL_INTERVAL_SECONDS = 0.1
GONE_AFTER_SECONDS = 15.0  # a web process that was killed is back before that


class RefusedError(Exception):
    """The API answered with an error; the text is its own."""


def answer(response: httpx.Response) -> dict[str, Any]:
    """The body. Raises RefusedError."""
    if response.is_success:
        found: dict[str, Any] = response.json()
        return found
    raise RefusedError(
        f"{response.request.method} {response.request.url}: {response.status_code} {response.text[:1000]}"
    )


def every_row(client: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    """Of a list, through all of its pages."""
    url: str | None = path
    while url:
        page = answer(client.get(url))
        yield from page["results"]
        url = page["next"]


def patient_answer(client: httpx.Client, path: str, deadline: float) -> dict[str, Any]:
    """A GET; a web process that is just being restarted is given time to come back."""
    patience = min(deadline, time.perf_counter() + GONE_AFTER_SECONDS)
    while True:
        try:
            return answer(client.get(path))
        except httpx.TransportError:
            if time.perf_counter() > patience:
                raise
            time.sleep(POLL_INTERVAL_SECONDS)
