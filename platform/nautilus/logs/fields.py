"""Fields of a line's own, for who writes it by `logging`: `extra={FIELDS: {"status": 200}}`.

structlog's loggers take them as keywords, and some microseconds longer.
"""

FIELDS = "nautilus_fields"
