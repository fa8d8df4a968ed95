"""How fast one may go, when so many at once are free."""


class Pace:
    def __init__(self, per_second: float, at_once: int) -> None:
        self._interval_seconds = 1 / per_second
        self._slack_seconds = (at_once - 1) * self._interval_seconds
        self._due = float("-inf")  # when the next one would come, were there no slack

    def delay_seconds(self, now: float) -> float:
        """How long the next one has to wait."""
        begun = max(self._due, now)
        self._due = begun + self._interval_seconds
        return max(0.0, begun - now - self._slack_seconds)
