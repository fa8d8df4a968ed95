"""What can be wrong with a request for performance."""

from nautilus.api.errors import DomainError


class PeriodError(DomainError):
    code = "period_out_of_range"
