"""What can be wrong with a request for risk."""

from nautilus.api.errors import ConflictError, DomainError, NotFoundError


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


class ReservationNotFoundError(NotFoundError):
    def __init__(self, reservation_id: object) -> None:
        super().__init__(
            f"There is no reservation '{reservation_id}' that you may see.",
            "GET /api/v1/sprint3/risk/reservations lists yours.",
        )


class ThresholdError(DomainError):
    code = "threshold_out_of_range"


class WarningThresholdError(DomainError):
    code = "warning_threshold_out_of_range"


class LimitDatesError(DomainError):
    code = "dates_out_of_order"


class LimitSymbolError(DomainError):
    """A symbol where the kind is of the whole portfolio."""

    code = "symbol_not_taken"


class LimitChoiceError(DomainError):
    code = "invalid_choice"


class LimitNotFoundError(NotFoundError):
    """The same words for one that does not exist and one of a portfolio that the caller may not see."""

    def __init__(self, limit_id: object) -> None:
        super().__init__(
            f"There is no limit '{limit_id}' that you may see.", "GET /api/v1/sprint3/risk/limits lists yours."
        )


class LimitExistsError(ConflictError):
    code = "limit_exists"


class ChangePendingError(ConflictError):
    """One change of a limit waits for approval at a time, or nobody could say what is approved."""

    code = "change_pending"


class ChangeNotFoundError(NotFoundError):
    def __init__(self, change_id: object) -> None:
        super().__init__(
            f"There is no change '{change_id}' of this limit.", "The limit names the one that waits in pending_change."
        )


class ChangeDecidedError(ConflictError):
    code = "change_decided"


class OwnChangeError(DomainError):
    """Two pairs of eyes are those of two people."""

    code = "own_change"
    status = 403
