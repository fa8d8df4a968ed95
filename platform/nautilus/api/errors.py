"""Errors with a code, a detail and a remedy, in one shape for clients, tasks and the admin (contract section 1)."""

import errno
import sys
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from drf_standardized_errors.handler import ExceptionHandler
from redis.exceptions import RedisError
from rest_framework import exceptions


class DomainError(Exception):
    """What a user can understand and mend. Subclasses set `code` and `status`; one class a meaning.

    `detail` says what was wrong, with the value; `remedy` what would be right; `attr` the field at fault.
    """

    code = "invalid"
    status = 400

    def __init__(self, detail: str, remedy: str = "", attr: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy
        self.attr = attr

    def as_dict(self) -> dict[str, str]:
        return {"code": self.code, "detail": self.detail, "remedy": self.remedy}

    @property
    def sentence(self) -> str:
        return " ".join(part for part in (self.detail, self.remedy) if part)


class DomainErrors(DomainError):
    """Several faults found in one input, each with its place."""

    code = "invalid_input"

    def __init__(self, errors: Sequence[DomainError], total: int | None = None) -> None:
        self.errors = list(errors)
        count = total or len(self.errors)
        first = self.errors[0]
        detail = first.detail if count == 1 else f"{count} faults; the first: {first.detail}"
        super().__init__(detail, first.remedy)
        if count == 1:
            self.code = first.code

    def as_dict(self) -> dict[str, Any]:
        listed = [{**error.as_dict(), "attr": error.attr} for error in self.errors]
        return {**super().as_dict(), "errors": listed}


class NotFoundError(DomainError):
    code = "not_found"
    status = 404


class ConflictError(DomainError):
    code = "conflict"
    status = 409


class BodyTooLargeError(DomainError):
    code = "body_too_large"
    status = 413


class UnavailableError(DomainError):
    """A store that is needed cannot be reached now."""

    code = "service_unavailable"
    status = 503


class QueryTimeoutError(UnavailableError):
    code = "query_timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"A query took longer than {seconds:g} s and was ended.",
            "Ask for less at once; if it comes again, the operator finds the query in PostgreSQL's log.",
        )


class QueryCancelledError(UnavailableError):
    code = "query_cancelled"

    def __init__(self) -> None:
        super().__init__("A query was cancelled in the database.", "Ask its operator why, and try again.")


class LockTimeoutError(UnavailableError):
    code = "lock_timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"What this needs was held by another transaction for longer than {seconds:g} s; nothing was changed.",
            "Try again; if it stays so, the operator finds who holds it in pg_locks (docs/database.md).",
        )


class TransactionTimeoutError(UnavailableError):
    """Something was computed in an open transaction that did nothing for too long: a fault of ours."""

    code = "transaction_timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"A transaction did nothing for longer than {seconds:g} s and was ended; nothing was changed.",
            "Try again; if it comes again, ask for less at once.",
        )


class DiskFullError(UnavailableError):
    code = "disk_full"

    def __init__(self) -> None:
        super().__init__("The disk is full: nothing was changed.", "Try again when its operator has made room.")


class TooManyConnectionsError(UnavailableError):
    code = "too_many_connections"

    def __init__(self) -> None:
        super().__init__(
            "The database takes no more connections now; nothing was changed.", "Try again in some seconds."
        )


class TransactionConflictError(UnavailableError):
    code = "transaction_conflict"

    def __init__(self) -> None:
        super().__init__("Two transactions were in each other's way, and this one was ended.", "Try again.")


_LIMITS: dict[str, Callable[[str], DomainError]] = {
    # A cancelled query and one that took too long have the same state: PostgreSQL tells them apart by its words alone.
    "57014": lambda said: QueryCancelledError() if "user request" in said else QueryTimeoutError(_statement_seconds()),
    "55P03": lambda said: LockTimeoutError(settings.LOCK_TIMEOUT_SECONDS),
    "25P03": lambda said: TransactionTimeoutError(settings.IDLE_IN_TRANSACTION_SECONDS),
}
_CONFLICTS = {"40001", "40P01"}  # of serialization, and a deadlock
_DISK_FULL = "53100"
# Where no session is had there is no code either: libpq passes on PostgreSQL's words alone.
_NO_MORE_SESSIONS = ("too many clients already", "remaining connection slots are reserved", "too many connections for")
# Of Valkey and Redis that could not write to their own disk.
_REDIS_DISK_FULL = ("MISCONF", "No space left on device")


def _statement_seconds() -> float:
    return settings.STATEMENT_TIMEOUT_SECONDS


def ended_by_limit(error: BaseException) -> DomainError | None:
    """What is to be said of an error by which PostgreSQL ended what took too long; None for any other.

    Takes Django's errors and psycopg's own, as they come out of COPY.
    """
    state, said = _state_of(error)
    return _LIMITS[state](said) if state in _LIMITS else None


def _state_of(error: BaseException) -> tuple[str, str]:
    """The five characters by which PostgreSQL says what happened, and its words; empty where it said nothing."""
    for each in (error, error.__cause__):
        if state := getattr(each, "sqlstate", None):
            return state, str(each)
    return "", ""


def is_out_of_connections(error: BaseException) -> bool:
    """Whether PostgreSQL (or the role's limit, or the database's) takes no more sessions."""
    return any(words in str(error) for words in _NO_MORE_SESSIONS)


def is_disk_full(error: BaseException) -> bool:
    """Whether a store or a file could not be written for want of space."""
    full_here = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full_here or _state_of(error)[0] == _DISK_FULL


def _redis_error(error: RedisError) -> DomainError:
    if any(words in str(error) for words in _REDIS_DISK_FULL):
        return DiskFullError()
    return UnavailableError("Redis cannot be reached.", "Try again in some seconds.")


def _database_error(error: Exception) -> DomainError | None:
    if (limit := ended_by_limit(error)) is not None:
        return limit
    if is_disk_full(error):
        return DiskFullError()
    if isinstance(error, OperationalError) and is_out_of_connections(error):
        return TooManyConnectionsError()
    if _state_of(error)[0] in _CONFLICTS:
        return TransactionConflictError()
    if isinstance(error, (OperationalError, InterfaceError)):
        return UnavailableError("The database cannot be reached.", "Try again in some seconds.")
    return None


def _as_api_exception(error: DomainError) -> exceptions.APIException:
    if error.status == 400:
        return exceptions.ValidationError(_validation_detail(error))
    api_exception = exceptions.APIException(error.sentence, error.code)
    api_exception.status_code = error.status
    return api_exception


def _validation_detail(error: DomainError) -> dict[str, list[exceptions.ErrorDetail]]:
    detail: dict[str, list[exceptions.ErrorDetail]] = {}
    for each in error.errors if isinstance(error, DomainErrors) else [error]:
        key = each.attr or "non_field_errors"
        detail.setdefault(key, []).append(exceptions.ErrorDetail(each.sentence, each.code))
    return detail


class Handler(ExceptionHandler):
    def convert_known_exceptions(self, exc: Exception) -> Exception:
        if isinstance(exc, DomainError):
            return _as_api_exception(exc)
        if isinstance(exc, RedisError):
            return _as_api_exception(_redis_error(exc))
        if (told := _database_error(exc)) is not None:
            return _as_api_exception(told)
        if isinstance(exc, RequestDataTooBig):
            return _as_api_exception(BodyTooLargeError("The body is larger than is taken.", "Send less at once."))
        if isinstance(exc, SuspiciousOperation):
            return exceptions.ParseError(str(exc))
        if isinstance(exc, Http404) and exc.args:
            return exceptions.NotFound(str(exc.args[0]))
        if isinstance(exc, PermissionDenied) and exc.args:
            return exceptions.PermissionDenied(str(exc.args[0]))
        return super().convert_known_exceptions(exc)


def _json_error(status: int, code: str, detail: str) -> JsonResponse:
    kind = "server_error" if status >= 500 else "client_error"
    return JsonResponse({"type": kind, "errors": [{"code": code, "detail": detail, "attr": None}]}, status=status)


def page_not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    return _json_error(404, "not_found", f"There is nothing at {request.path}. GET /api/docs lists what there is.")


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    return _json_error(400, "bad_request", f"The request could not be read: {exception or type(exception).__name__}")


def server_error(request: HttpRequest) -> JsonResponse:
    """Django calls it while it handles the error, outside of the API: in the admin, in plain views."""
    error = sys.exc_info()[1]
    told = _database_error(error) if isinstance(error, Exception) else None
    if told is not None:
        return _json_error(told.status, told.code, told.sentence)
    return _json_error(500, "error", "Server Error (500)")
