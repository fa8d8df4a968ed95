"""When a worker that does nothing is ill, and when it only has nothing to do: the judgement alone, without Celery."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """A worker at one moment, `at` by a clock that never goes back, in seconds.

    `turns` counts the turns of its event loop, `progress` the messages that it took and the tasks that it began.
    `active` tasks run on its `slots`, `held` ones it has taken and not begun, `waiting` messages lie in its queues.
    """

    at: float
    turns: int
    is_consuming: bool
    progress: int
    active: int
    slots: int
    held: int
    waiting: int


class Patience:
    """Says what is wrong with a worker once it has been so at every look for `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last: Look | None = None
        self._since: dict[str, float] = {}

    def forgive(self) -> None:
        """All clocks start anew: Redis was away, or the whole machine stood still, which is no fault of the worker."""
        self._last = None
        self._since.clear()

    def complaint(self, look: Look) -> str | None:
        """What has been wrong for too long, in words that follow the worker's name; None where nothing has."""
        last, self._last = self._last, look
        if last is None:
            return None
        wrong = _wrong(last, look)
        self._since = {what: self._since.get(what, last.at) for what in wrong}
        lasting = (text for what, text in wrong.items() if look.at - self._since[what] >= self._seconds)
        reason = next(lasting, None)
        return reason and f"{reason} for {self._seconds:g} s although Redis answers"


def _wrong(last: Look, look: Look) -> dict[str, str]:
    """What is wrong between two looks, by a name that stays while the figures change."""
    found = {}
    if look.turns == last.turns:
        found["loop"] = "its event loop has not turned"
    if not look.is_consuming:
        found["consumer"] = "it is not registered for its queues"
    # One that works on all its slots takes nothing, and need not.
    free = look.slots - look.active
    if free > 0 and (look.waiting or look.held) and look.progress == last.progress:
        found["stalled"] = (
            f"it took no task, with {free} of {look.slots} slots free, {look.waiting} messages in its queues and "
            f"{look.held} taken that it did not begin,"
        )
    return found
