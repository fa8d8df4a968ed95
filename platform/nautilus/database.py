"""What the models share about PostgreSQL."""

from django.db import models


class LongNamedIndex(models.Index):
    """An index whose name may fill PostgreSQL's 63 bytes; Django keeps to Oracle's 30.

    The names are part of the contract (section 11): operators' runbooks look for them.
    """

    max_name_length = 63
