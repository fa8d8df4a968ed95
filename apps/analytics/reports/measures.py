"""How measures are grouped and read: each by the public name that it has in a result (docs/metrics.md)."""

import re
from dataclasses import dataclass

from apps.analytics.kernels.measures import FIGURES
from apps.analytics.reports.numbers import Number, percent, plain, whole

# In the order of reading: the module that a measure is defined in, and what its group is called.
GROUPS = {
    "returns": "Return",
    "risk": "Risk and ratios",
    "falls": "Drawdowns",
    "tails": "Tails",
    "relative": "Against the benchmark",
    "calendar": "Calendar",
    "bets": "Wins and losses",
}
OTHERS = "Others"

_FIRST = ("total_return", "annual_return", "annual_volatility", "max_drawdown", "sharpe", "sortino", "alpha", "beta")

# In per cent: what is a return, a spread of returns, or a part of something. All others are ratios or counts.
_PERCENT = re.compile(
    r"return(?!_ratio)|volatility|downside_risk|drawdown|^c?var_|^alpha|^(best|worst|expected|average)_|win_rate|"
    r"exposure|kelly|risk_of_ruin|^probabilistic|(ulcer|pain)_index|tracking_error|(?<!up_down_)capture|batting|"
    r"m_squared|turnover|contribution"
)
_COUNT = re.compile(r"_(days|streak)$")

_SPELT = {
    **{name: name.capitalize() for name in ("sharpe", "sortino", "mazuy", "merton", "r", "m")},
    "var": "VaR",
    "cvar": "expected shortfall",
    "cpc": "CPC",
}

# Figures of the book as a whole, which are no formula over daily returns (docs/attribution.md).
_OF_BOOK = {
    "money_weighted_return": "The yearly rate at which what was paid in grows to what is there (XIRR).",
    "turnover": "Traded notional, bought and sold, over the mean value, x 252 / days.",
    "cash_contribution": "What cash added to total_return: 0, as cash earns nothing here.",
    "trading_contribution": "What trades away from the day's close added to total_return, linked over the days.",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """`about` says in a sentence how it is defined; empty where that is not known here."""

    name: str
    label: str
    text: str
    reason: str
    about: str = ""


def grouped(metrics: dict[str, Number], reasons: dict[str, str]) -> list[tuple[str, list[Shown]]]:
    """Every measure once: the groups in the order of reading, in each the headline measures first."""
    groups: dict[str, list[Shown]] = {title: [] for title in (*GROUPS.values(), OTHERS)}
    for name in sorted(metrics, key=place_of):
        groups[_group_of(name)].append(shown(name, metrics[name], reasons))
    return [(title, measures) for title, measures in groups.items() if measures]


def shown(name: str, value: Number, reasons: dict[str, str]) -> Shown:
    return Shown(name, label_of(name), text_of(name, value), reasons.get(name, ""), _about(name))


def place_of(name: str) -> tuple[int, int, str]:
    """Headline measures, then those that the kernel knows in its order, then what it knows no more, by name."""
    first = _FIRST.index(name) if name in _FIRST else len(_FIRST)
    return first, list(FIGURES).index(name) if name in FIGURES else len(FIGURES), name


def _group_of(name: str) -> str:
    module = FIGURES[name].formula.__module__.rpartition(".")[2] if name in FIGURES else ""
    return GROUPS.get(module, OTHERS)


def _about(name: str) -> str:
    words = FIGURES[name].formula.__doc__ if name in FIGURES else _OF_BOOK.get(name)
    return " ".join((words or "").partition("\n\n")[0].split())


def label_of(name: str) -> str:
    """The public name in words, as in 'Annual volatility'."""
    text = " ".join(_SPELT.get(word, word) for word in name.split("_"))
    return text[0].upper() + text[1:]


def text_of(name: str, value: Number) -> str:
    if _COUNT.search(name):
        return whole(value)
    return percent(value) if _PERCENT.search(name) else plain(value)
