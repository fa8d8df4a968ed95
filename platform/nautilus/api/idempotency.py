"""`Idempotency-Key`: the same key and body give the same answer, the same key with another body 409.

The key's row and everything the request does are one transaction. A second request with the key waits at the unique
index until the first has ended; where the first failed, nothing is kept and the second does the work.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from nautilus.api.errors import ConflictError, DomainError
from nautilus.api.models import IdempotentAnswer

KEPT_FOR = timedelta(hours=24)


class KeyReusedError(ConflictError):
    code = "idempotency_key_reused"


class KeyInvalidError(DomainError):
    code = "idempotency_key_invalid"


def answer_once(request: Request, key: str, handler: Callable[..., Response], *args: Any, **kwargs: Any) -> Response:
    """The handler's answer, or the one that it gave to the same key before."""
    if not 1 <= len(key) <= 200:
        raise KeyInvalidError(f"Idempotency-Key has {len(key)} characters.", "Send 1 to 200, such as a UUID.")
    fingerprint = _fingerprint(request)
    owner: Any = request.user
    with transaction.atomic():
        row, is_new = IdempotentAnswer.objects.get_or_create(user=owner, key=key, defaults={"fingerprint": fingerprint})
        if not is_new and row.created_at > timezone.now() - KEPT_FOR:
            return _same_answer(row, fingerprint)
        response = handler(request, *args, **kwargs)
        _keep(row, fingerprint, response)
    return response


def _same_answer(row: IdempotentAnswer, fingerprint: str) -> Response:
    if row.fingerprint != fingerprint:
        raise KeyReusedError(
            f"Idempotency-Key '{row.key}' was used for another request at {row.created_at:%Y-%m-%dT%H:%M:%SZ}.",
            "Send a new key for a new request.",
        )
    return Response(row.body, status=row.status_code, headers={"Idempotency-Replayed": "true"})


def _keep(row: IdempotentAnswer, fingerprint: str, response: Response) -> None:
    row.fingerprint = fingerprint
    row.status_code = response.status_code
    row.body = json.loads(json.dumps(response.data, cls=JSONEncoder))  # dates and the like as the renderer writes them
    row.created_at = timezone.now()
    row.save()


def _fingerprint(request: Request) -> str:
    digest = hashlib.sha256(f"{request.method} {request.path_info}\n".encode())
    data = request.data
    files = getattr(request, "FILES", {})
    plain = {name: value for name, value in data.items() if name not in files} if hasattr(data, "items") else data
    digest.update(json.dumps(plain, sort_keys=True, default=str).encode())
    for name in sorted(files):
        _add_file(digest, name, files[name])
    return digest.hexdigest()


def _add_file(digest: Any, name: str, file: UploadedFile) -> None:
    digest.update(name.encode())
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)


def forget_old_answers() -> int:
    """Deletes what no repeat will ask for any more; called by the maintenance worker."""
    return IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()[0]
