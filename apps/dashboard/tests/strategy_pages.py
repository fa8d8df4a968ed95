"""Pages as their users get them: whole, or the fragment that htmx asks for."""

from typing import Any

from django.test import Client

from apps.portfolios.tests.factories import make_user

STRATEGY, DEPLOYMENT = "/strategies/STRATEGY_001", "/deployments/DEPLOY_001"


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def client_of(role: str, **fields: Any) -> Client:
    return signed_in(make_user(role, **fields))


def page(client: Client, path: str, target: str = "", status: int = 200) -> str:
    """The page, or the fragment that htmx asks for."""
    headers = {"HX-Request": "true", "HX-Target": target} if target else {}
    answer = client.get(path, headers=headers)
    assert answer.status_code == status, (path, answer.status_code)
    return str(answer.content.decode())
