"""409 in the OpenAPI document: the shape of every error, and the codes that an endpoint refuses with."""

from drf_spectacular.utils import OpenApiResponse
from drf_standardized_errors.openapi_serializers import ClientErrorEnum
from rest_framework import serializers

from nautilus.api.errors import ConflictError
from nautilus.api.idempotency import KeyReusedError


class Error409Serializer(serializers.Serializer):
    code = serializers.CharField()
    detail = serializers.CharField()
    attr = serializers.CharField(allow_null=True)


class ErrorResponse409Serializer(serializers.Serializer):
    type = serializers.ChoiceField(choices=ClientErrorEnum.choices)
    errors = Error409Serializer(many=True)  # type: ignore[assignment]  # a field, not Serializer.errors


class VersionConflictSerializer(ErrorResponse409Serializer):
    """An error as any other, and where to end the conflict."""

    merge_request_id = serializers.IntegerField(required=False, help_text="With the code `merge_conflict`")


def refused_with(
    *errors: type[ConflictError], shape: type[ErrorResponse409Serializer] = ErrorResponse409Serializer
) -> OpenApiResponse:
    """What an endpoint raises, and what each POST does where its `Idempotency-Key` is another request's."""
    raised: list[type[ConflictError]] = [*errors, KeyReusedError]
    codes = ", ".join(f"`{error.code}`" for error in raised)
    return OpenApiResponse(shape, description=f"Refused as things are now, with the code {codes}")
