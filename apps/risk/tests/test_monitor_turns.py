"""One run at a time, whoever dies or sleeps; and limits that are edited while a run computes."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction

from apps.portfolios.tests.factories import make_trade
from apps.risk.models import RiskEvent, RiskLimit, RiskMetric, RiskMonitor
from apps.risk.monitor import books, run
from apps.risk.monitor.memory import Memory
from apps.risk.monitor.turns import Renewal, Turn, TurnLostError, end_turn, give_up, lease_seconds, take_turn
from apps.risk.monitoring import start_monitoring, stop_monitoring
from apps.risk.tests.desks import DESK_SETTINGS, make_desk, make_limit
from apps.risk.tests.monitored import forget_flag, look, state_of, told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def desk_settings(settings):
    for name, value in DESK_SETTINGS.items():
        setattr(settings, name, value)
    forget_flag()
    yield
    forget_flag()


@pytest.fixture
def limit() -> RiskLimit:
    """In breach: the book's gross exposure is 30,000."""
    return make_limit(make_desk(), "gross_exposure", 29_000)


@pytest.fixture
def meanwhile(monkeypatch) -> Callable[[Callable[[], object]], None]:
    """Has something happen after a run has seen all and before it writes."""

    def arrange(happens: Callable[[], object]) -> None:
        write = run.write

        def later(*args):
            in_thread(happens)
            return write(*args)

        monkeypatch.setattr(run, "write", later)

    return arrange


def in_thread(work: Callable[[], Any]) -> Any:
    """With a connection of its own, as another process has it."""

    def closing() -> Any:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(closing).result(30)


def taken(holder: str) -> Turn:
    turn = take_turn(holder)
    assert turn is not None
    return turn


def nothing_was_written(limit: RiskLimit) -> bool:
    stored = RiskMetric.objects.exists() or RiskEvent.objects.filter(limit=limit).exists()
    return not stored and state_of(limit)[2] == "not evaluated yet"


def test_lease_is_over_within_an_interval_of_its_last_renewal(settings):
    assert lease_seconds() <= settings.MONITOR_INTERVAL_SECONDS


def test_turn_is_taken_once():
    taken("one")
    assert take_turn("two") is None


def test_next_turn_has_a_higher_number():
    first = taken("one")
    give_up(first)
    second = taken("two")
    assert second.epoch == first.epoch + 1
    assert RiskMonitor.objects.get().holder == "two"


def test_monitor_that_died_is_replaced_when_its_lease_is_over(limit, settings):
    settings.MONITOR_INTERVAL_SECONDS = 2
    take_turn("dies without a word")
    assert look() == "another run goes on"
    time.sleep(lease_seconds() + 0.1)
    look()
    assert state_of(limit)[0] == "breach"


def test_lease_is_renewed_while_a_run_computes(settings):
    settings.MONITOR_INTERVAL_SECONDS = 2
    turn = taken("one")
    with Renewal(turn):
        time.sleep(2.5)
        assert take_turn("two") is None


def test_run_that_was_replaced_while_it_slept_writes_nothing(limit, meanwhile):
    meanwhile(lambda: RiskMonitor.objects.update(epoch=99, lease_expires_at=None))
    memory = Memory()
    assert look(memory) == "replaced"
    assert nothing_was_written(limit)
    assert memory.books == {}


def test_run_that_is_stopped_meanwhile_writes_nothing(limit, meanwhile):
    meanwhile(lambda: stop_monitoring(None))
    assert look() == "replaced"
    assert nothing_was_written(limit)


def test_stopped_turn_is_free_again(limit, meanwhile, monkeypatch):
    meanwhile(lambda: stop_monitoring(None))
    look()
    monkeypatch.undo()
    start_monitoring(None)
    look()
    assert state_of(limit)[0] == "breach"


def test_replaced_turn_does_not_touch_the_row():
    turn = taken("one")
    RiskMonitor.objects.update(epoch=99)
    with pytest.raises(TurnLostError):
        end_turn(turn, 1.0, 1, 1)
    assert RiskMonitor.objects.get().last_run_at is None


def test_of_two_runs_at_once_one_works(limit, monkeypatch):
    at_work, see = threading.Barrier(2, timeout=20), run.see

    def slowly(memory):
        at_work.wait()
        at_work.wait()
        return see(memory)

    monkeypatch.setattr(run, "see", slowly)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(in_thread, look)
        at_work.wait()
        assert look() == "another run goes on"
        at_work.wait()
        assert first.result(30).startswith("1 portfolios")
    assert told() == ["limit_breach"]


def test_limit_that_is_edited_meanwhile_is_left_to_the_next_run(limit, meanwhile, monkeypatch):
    other = make_limit(limit.portfolio, "net_exposure", 29_000)

    def edit() -> None:
        edited = RiskLimit.objects.get(pk=limit.pk)
        edited.threshold_value = 60_000
        edited.save(update_fields=["threshold_value"])

    meanwhile(edit)
    look()
    assert (state_of(limit)[2], state_of(other)[0]) == ("not evaluated yet", "breach")
    assert told(limit=limit) == []
    monkeypatch.undo()
    look()
    assert state_of(limit)[0] == "warning"


def test_limit_that_is_being_edited_is_waited_for_and_left(limit):
    """The editor's transaction is open when the run writes, and commits afterwards."""
    editing, seen = threading.Event(), threading.Event()

    def edit() -> None:
        with transaction.atomic():
            RiskLimit.objects.filter(pk=limit.pk).update(threshold_value=60_000)
            editing.set()
            assert seen.wait(20)
            time.sleep(0.5)  # the run's statement waits for the row

    def see_then_say(memory):
        found = see(memory)
        seen.set()
        return found

    see, run.see = run.see, see_then_say
    try:
        with ThreadPoolExecutor(1) as pool:
            edited = pool.submit(in_thread, edit)
            assert editing.wait(20)
            look()
            edited.result(30)
    finally:
        run.see = see
    assert state_of(limit)[2] == "not evaluated yet"
    assert told() == []


def test_limit_that_nobody_lets_go_of_ends_the_run_and_not_the_worker(limit, settings):
    settings.MONITOR_INTERVAL_SECONDS = 1
    held, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            RiskLimit.objects.select_for_update().get(pk=limit.pk)
            held.set()
            assert ended.wait(20)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(in_thread, hold)
        assert held.wait(20)
        assert "lock timeout" in look()
        ended.set()
        holding.result(30)
    assert "lock timeout" in RiskMonitor.objects.get().last_error
    look()
    assert state_of(limit)[0] == "breach"


def test_turn_is_not_waited_for_while_somebody_holds_the_row():
    give_up(taken("one"))
    with transaction.atomic():
        RiskMonitor.objects.select_for_update().get()
        assert in_thread(lambda: take_turn("two")) is None


def test_limit_that_is_deleted_meanwhile_leaves_no_event(limit, meanwhile):
    meanwhile(lambda: RiskLimit.objects.filter(pk=limit.pk).delete())
    look()
    assert told() == []


def test_reads_of_a_run_are_of_one_moment(limit, monkeypatch):
    """Booked between two reads of a run, a trade is in none of them."""
    read_books = books.read_wide_books

    def books_after_a_trade(ids):
        in_thread(lambda: make_trade(limit.portfolio, "AAA", 1_000, 10))
        return read_books(ids)

    monkeypatch.setattr(books, "read_wide_books", books_after_a_trade)
    look()
    assert state_of(limit)[1] == 30_000.0
