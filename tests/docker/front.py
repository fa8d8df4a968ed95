"""The whole of what stands behind nginx in the tests, and how to sign in there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.docker.names import Names
from tests.docker.proxied import Front, Upstream


@dataclass(slots=True)
class Site:
    front: Front
    names: Names
    backends: list[Upstream]
    handler: Upstream
    password: str
    front_folder: Path
    _token: str = ""

    @staticmethod
    def addresses(backends: Sequence[Upstream], handlers: Sequence[Upstream]) -> Mapping[str, list[str]]:
        """What Docker's DNS would answer."""
        return {
            "backend": [upstream.address for upstream in backends],
            "websocket-handler": [upstream.address for upstream in handlers],
        }

    @property
    def token(self) -> str:
        if not self._token:
            with self.front.client() as client:
                answer = client.post("/api/v1/auth/token", json={"username": "admin", "password": self.password})
            assert answer.status_code in (200, 201), answer.text
            self._token = answer.json()["token"]
        return self._token

    def client(self) -> httpx.Client:
        """As the admin."""
        return self.front.client(Authorization=f"Bearer {self.token}")
