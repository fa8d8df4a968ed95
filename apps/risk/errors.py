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


class TooExpensiveError(DomainError):
    code = "too_expensive"


class ChunksFailedError(DomainError):
    """Some of the portfolios have no figures, because the work on them failed as a whole."""

    code = "chunks_failed"


class ProxyError(DomainError):
    code = "invalid_proxy"


class ScenarioPricesError(DomainError):
    """A held symbol was not traded through a historical scenario, and nothing stands in for it."""

    code = "scenario_prices_missing"


class BenchmarkError(DomainError):
    """A shock of the benchmark is asked for, and there is none to measure betas against."""

    code = "no_benchmark"


class ReverseLossError(DomainError):
    code = "loss_without_value"
