"""The name of a computation: equal requests on equal data have equal keys."""

import hashlib
import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder


def coalesce_key(kind: str, inputs: dict[str, Any], portfolio_id: str | None, data_version: str) -> str:
    text = json.dumps([kind, portfolio_id, inputs, data_version], sort_keys=True, cls=DjangoJSONEncoder)
    return hashlib.sha256(text.encode()).hexdigest()
