"""What can be wrong with a request for risk."""

from nautilus.api.errors import DomainError


class NoPositionsError(DomainError):
    code = "no_positions"


class InsufficientHistoryError(DomainError):
    code = "insufficient_history"


class CurrencyMismatchError(DomainError):
    code = "currency_mismatch"


class AsOfError(DomainError):
    code = "as_of_out_of_range"


class ProxyError(DomainError):
    code = "invalid_proxy"
