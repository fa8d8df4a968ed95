"""How our credentials and fields look in the OpenAPI document."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = "nautilus.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "nautilus.api.authentication.AdminSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


class LocalOperatorScheme(OpenApiAuthenticationExtension):
    target_class = "nautilus.api.authentication.LocalOperatorAuthentication"
    name = "local"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Host",
            "description": "Under `make run` only: plain requests from this machine.",
        }


class AmountScheme(OpenApiSerializerFieldExtension):
    target_class = "nautilus.api.serializers.AmountField"

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, str]:
        return {"type": "number", "format": "double"}
