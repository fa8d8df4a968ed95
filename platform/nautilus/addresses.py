"""Addresses of servers whose password stands elsewhere: in a file that only the container sees."""

import re
from urllib.parse import quote

# `scheme://[user@]host`, also several of them in one text; one that has a password is left as it is.
_WITHOUT_PASSWORD = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?:(?P<user>[^:/@,;\s]*)@)?(?P<host>[^@,;\s]*)(?=[,;\s]|$)"
)


def with_password(url: str, password: str) -> str:
    """The URL, or each of a list of them, with the password where none stands; "" changes nothing."""
    if not password:
        return url
    escaped = quote(password, safe="")
    return _WITHOUT_PASSWORD.sub(rf"\g<scheme>\g<user>:{escaped}@\g<host>", url)
