"""What one run sees: every open portfolio with its measures, and a verdict on each of its limits. It writes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from apps.risk.figures import Past
from apps.risk.monitor.measures import BookMeasures
from apps.risk.monitor.memory import Memory
from apps.risk.monitor.moment import Moment, one_moment, read_moment
from apps.risk.monitor.verdicts import Standing, Verdict, judge_limits, out_of_force


@dataclass(frozen=True, slots=True)
class Seen:
    """`measured` are the books that were measured in this run, the others are as they were; by portfolio all else."""

    moment: Moment
    measured: Sequence[BookMeasures]
    standings: Mapping[str, Standing]
    verdicts: Mapping[str, Sequence[Verdict]]

    def all_verdicts(self) -> Iterator[Verdict]:
        for verdicts in self.verdicts.values():
            yield from verdicts


def see(memory: Memory) -> Seen:
    with one_moment():
        moment = read_moment()
        measured = memory.measure(moment)
        anew = {book.portfolio_id: book for book in measured}
        books = {each: anew.get(each) or memory.books[each] for each in moment.heads}
        pasts = memory.pasts_of(moment, books)
    standings = _standings(moment, books, pasts)
    return Seen(moment, measured, standings, _verdicts(moment, standings))


def _standings(moment: Moment, books: Mapping[str, BookMeasures], pasts: Mapping[str, Past]) -> dict[str, Standing]:
    return {
        each: Standing(book, pasts.get(each), moment.orders.get(each, {}), moment.now) for each, book in books.items()
    }


def _verdicts(moment: Moment, standings: Mapping[str, Standing]) -> dict[str, list[Verdict]]:
    return {
        each: judge_limits(limits, standings[each]) if each in standings else [out_of_force(one) for one in limits]
        for each, limits in moment.limits.items()
    }
