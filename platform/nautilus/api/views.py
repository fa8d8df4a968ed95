"""The base of every API view, and the endpoints about credentials."""

import json
from functools import partial
from typing import Any

from django.contrib.auth import authenticate
from django.core.serializers.json import DjangoJSONEncoder
from drf_spectacular.utils import extend_schema, inline_serializer
from knox.models import AuthToken
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle

from nautilus.api.access import roles_of
from nautilus.api.idempotency import answer_once
from nautilus.api.serializers import StrictSerializer
from nautilus.api.tickets import TICKET_LIFETIME_SECONDS, issue_ticket


class ApiView(GenericAPIView):
    """`roles` names the permission of each method, `permission_classes` that of the others.

    A POST with an `Idempotency-Key` is answered once, whatever the view does.
    """

    roles: dict[str, type[BasePermission]] = {}
    keeps_answers = True  # False where the answer is a credential, which is never stored

    def get_permissions(self) -> Any:
        permission = self.roles.get(self.request.method or "")
        return [permission()] if permission else super().get_permissions()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        key = request.headers.get("Idempotency-Key")
        if self.keeps_answers and request.method == "POST" and key is not None and request.user.is_authenticated:
            setattr(self, "post", partial(self._once, key, getattr(self, "post")))  # noqa: B009, B010 - only some have it

    @staticmethod
    def _once(key: str, handler: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        return answer_once(request, key, handler, *args, **kwargs)

    def validated(self, request: Request) -> dict[str, Any]:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def validated_json(self, request: Request) -> dict[str, Any]:
        """The validated input as plain JSON values, defaults filled in: what a task keeps as its inputs."""
        return json.loads(json.dumps(self.validated(request), cls=DjangoJSONEncoder))


class CredentialsSerializer(StrictSerializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=200, trim_whitespace=False)


class TokenView(ApiView):
    """Tokens: hashed at rest, expiring, revocable."""

    serializer_class = CredentialsSerializer
    keeps_answers = False
    throttle_scope = "credentials"
    roles = {"POST": AllowAny, "DELETE": IsAuthenticated}

    def get_throttles(self) -> list[Any]:
        return [ScopedRateThrottle()] if self.request.method == "POST" else []

    @extend_schema(
        responses={
            201: inline_serializer(
                "Token", {"token": serializers.CharField(), "expires_at": serializers.DateTimeField()}
            )
        },
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Exchange a user name and password for a bearer token."""
        user = authenticate(request, **self.validated(request))
        if user is None:
            raise AuthenticationFailed("The user name or the password is wrong, or the user is not active.")
        row, token = AuthToken.objects.create(user=user)
        return Response({"token": token, "expires_at": row.expiry}, status=201)

    @extend_schema(responses={204: None})
    def delete(self, request: Request) -> Response:
        """Revoke the token that this request came with."""
        if isinstance(request.auth, AuthToken):
            request.auth.delete()
        return Response(status=204)


class MeView(ApiView):
    permission_classes = [IsAuthenticated]
    serializer_class = serializers.Serializer

    @extend_schema(
        responses=inline_serializer(
            "Me", {"username": serializers.CharField(), "roles": serializers.ListField(child=serializers.CharField())}
        )
    )
    def get(self, request: Request) -> Response:
        """Who the credentials belong to, and what they allow."""
        return Response({"username": request.user.get_username(), "roles": sorted(roles_of(request.user))})


class TicketView(ApiView):
    permission_classes = [IsAuthenticated]
    serializer_class = StrictSerializer
    keeps_answers = False

    @extend_schema(
        request=None,
        responses={
            201: inline_serializer(
                "Ticket", {"ticket": serializers.CharField(), "expires_in_seconds": serializers.IntegerField()}
            )
        },
    )
    def post(self, request: Request) -> Response:
        """A single-use ticket for a WebSocket: `/ws?ticket=...`, within 30 s."""
        return Response(
            {"ticket": issue_ticket(request.user), "expires_in_seconds": TICKET_LIFETIME_SECONDS}, status=201
        )
