"""What a historical stress scenario is, and where it registers."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class HistoricalScenario:
    """What happened from the close of `start` to the close of `end`."""

    name: str
    title: str
    start: date
    end: date
    description: str


SCENARIOS: dict[str, HistoricalScenario] = {}


def register(name: str, title: str, start: str, end: str, description: str) -> None:
    """Days as in 2020-02-19. Raises ValueError for a name that is taken or days that do not follow each other."""
    scenario = HistoricalScenario(name, title, date.fromisoformat(start), date.fromisoformat(end), description)
    if name in SCENARIOS or scenario.start >= scenario.end:
        raise ValueError(f"{scenario}: expected a name of its own, and a start before its end")
    SCENARIOS[name] = scenario
