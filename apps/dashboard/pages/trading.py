"""Whether a portfolio may trade now: by its own state, and by that of all portfolios."""

from collections.abc import Iterable
from dataclasses import dataclass

from apps.portfolios.models import Portfolio
from apps.risk.halting import halt_in_force
from apps.risk.models import TradingHalt
from apps.risk.pretrade.rules import stricter

ACTIVE = Portfolio.TradingState.ACTIVE


@dataclass(frozen=True, slots=True)
class TradingInForce:
    """`state` is the stricter of the two; `why` names whose it is, "" where it is the portfolio's own."""

    state: str
    why: str

    @property
    def title(self) -> str:
        """The state with what it means, and whose it is."""
        return ", ".join(filter(None, [str(Portfolio.TradingState(self.state).label), self.why]))


def trading_in_force(portfolios: Iterable[Portfolio]) -> dict[str, TradingInForce]:
    """By id, as the pre-trade check decides it; one query, however many portfolios there are.

    Where all portfolios are halted, that is said of each: to lift a portfolio's own state would change nothing.
    """
    halt = halt_in_force()
    return {portfolio.id: _in_force(portfolio.trading_state, halt) for portfolio in portfolios}


def _in_force(own: str, halt: TradingHalt | None) -> TradingInForce:
    if halt is None or halt.trading_state == ACTIVE or stricter(halt.trading_state, own) != halt.trading_state:
        return TradingInForce(own, "")
    return TradingInForce(halt.trading_state, f"of all portfolios{f': {halt.reason}' if halt.reason else ''}")
