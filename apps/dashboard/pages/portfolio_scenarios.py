"""What a book would have made on each day of an analysis' window: as a histogram, with where VaR and ES lie in it.

A result keeps its ten worst scenarios; all of them come from its exact inputs again, in the web process: a pass over
a window of mapped prices, kept in the cache.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.dashboard.pages.portfolio_results import Computed
from apps.portfolios.matrix import FloatArray, PriceMatrix, load_current_matrix
from apps.portfolios.models import Snapshot
from apps.risk.inputs import priced_book_of
from apps.risk.methods import DEFAULTS
from apps.risk.methods.scenarios import Scenarios
from nautilus.api.errors import DomainError
from nautilus.cache import cached_result

FEWEST_BINS, MOST_BINS = 12, 50
# The VaR is summed up from its components, a scenario from its positions: they differ by their last bits.
_ROUNDING = 1e-9
# Their scenarios are not the window's days as they were: the histogram says so.
_OF_OTHER_SCENARIOS = {
    "filtered_historical": "Filtered historical simulation takes each of these days to the volatility expected now.",
    "age_weighted": "Age-weighted simulation counts a day less the older it is; here each counts the same.",
    "monte_carlo": "Monte Carlo draws its scenarios from the covariance of these days.",
    "parametric": "The parametric method lays a distribution through these days.",
    "cornish_fisher": "Cornish-Fisher lays a corrected normal distribution through these days.",
}


@dataclass(frozen=True, slots=True)
class Histogram:
    """`edges` (bins + 1,) in currency; `beyond` (bins,) counts what lost more than the VaR, `within` all else.

    `reason` says why there is none, then the rest is empty; `note` how the method goes on from these days.
    """

    edges: list[float]
    within: list[int]
    beyond: list[int]
    days: int
    scale_note: str
    note: str
    reason: str = ""

    @property
    def beyond_count(self) -> int:
        return sum(self.beyond)

    def chart(self, computed: Computed) -> dict[str, Any]:
        figures = computed.result
        return {
            **{name: getattr(self, name) for name in ("edges", "within", "beyond")},
            "var": figures["var"],
            "shortfall": figures["expected_shortfall"],
            "confidence": computed.confidence_text,
        }


def histogram_of(computed: Computed) -> Histogram:
    """Never raises for what prices or the book cannot give: the card says why."""
    inputs = Snapshot.objects.values_list("inputs", flat=True).get(pk=computed.snapshot_id)
    try:
        matrix = load_current_matrix()
        pnl = np.array(scenario_pnl_of(inputs, matrix))
    except DomainError as error:
        return Histogram([], [], [], 0, "", "", error.sentence)
    note = _OF_OTHER_SCENARIOS.get(inputs["method"], "")
    if matrix.version != inputs["price_version"]:
        note = f"The days are at today's prices, which have changed since the analysis. {note}".strip()
    return _histogram(pnl, computed.result["var"], _scale_note(inputs), note)


def _version(inputs: dict[str, Any], matrix: PriceMatrix) -> str:
    return f"{inputs['ledger_version']}-{matrix.version}"


def _everything(inputs: dict[str, Any], matrix: PriceMatrix) -> Any:
    return [inputs, matrix.origin]


@cached_result(prefix="risk", name="scenarios", version=_version, key=_everything)
def scenario_pnl_of(inputs: dict[str, Any], matrix: PriceMatrix) -> list[float]:
    """The P&L of an analysis' scenarios over its horizon, as the historical method takes them."""
    scenarios = Scenarios.of_window(priced_book_of(inputs, matrix), {**DEFAULTS, **inputs})
    scaled: list[float] = (scenarios.pnl * scenarios.scale).tolist()
    return scaled


def _scale_note(inputs: dict[str, Any]) -> str:
    horizon = inputs["horizon_days"]
    if horizon == 1:
        return "day"
    if inputs["horizon_method"] == "overlapping":
        return f"run of {horizon} days"
    return f"day, times the root of {horizon}"


def _histogram(pnl: FloatArray, var: float, scale_note: str, note: str) -> Histogram:
    bins = int(min(MOST_BINS, max(FEWEST_BINS, round(2 * len(pnl) ** 0.5))))
    edges = np.histogram_bin_edges(pnl, bins)
    is_beyond = pnl < -var * (1 + _ROUNDING)  # the scenario that is the VaR is not beyond it
    beyond, within = (np.histogram(part, edges)[0].tolist() for part in (pnl[is_beyond], pnl[~is_beyond]))
    return Histogram(np.round(edges, 2).tolist(), within, beyond, len(pnl), scale_note, note)
