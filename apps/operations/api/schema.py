"""How the credentials of the health views look in the OpenAPI document: any one of the three, as everywhere else."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from nautilus.api.schema import BearerScheme, LocalOperatorScheme, SessionScheme


class HealthScheme(OpenApiAuthenticationExtension):
    target_class = "apps.operations.api.credentials.HealthAuthentication"
    name: list[str] = []  # described by the others already

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return []

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        return [{scheme.name: []} for scheme in (BearerScheme, SessionScheme, LocalOperatorScheme)]
