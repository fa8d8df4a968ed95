"""The judgement over a worker: what makes it ill, and what does not."""

from dataclasses import replace

import pytest

from nautilus.patience import Look, Patience

WELL = Look(at=0.0, turns=0, is_consuming=True, progress=0, active=0, slots=2, held=0, waiting=0)


def complaints(seconds: int, patience: float = 15, **wrong: object) -> list[tuple[int, str]]:
    """A look each second at a worker whose loop turns, and in which something is as it is said."""
    judge = Patience(patience)
    looks = (replace(WELL, at=float(at), **{"turns": at, **wrong}) for at in range(seconds + 1))
    return [(int(look.at), reason) for look in looks if (reason := judge.complaint(look))]


def test_worker_without_work_is_well():
    assert complaints(100) == []


def test_worker_whose_loop_stands_still_is_ill_after_the_patience():
    at, reason = complaints(100, turns=7)[0]
    assert (at, reason) == (15, "its event loop has not turned for 15 s although Redis answers")


def test_worker_without_a_consumer_is_ill_after_the_patience():
    at, reason = complaints(100, is_consuming=False)[0]
    assert (at, reason) == (15, "it is not registered for its queues for 15 s although Redis answers")


def test_worker_with_free_slots_that_leaves_messages_lying_is_ill_after_the_patience():
    at, reason = complaints(100, waiting=9, active=1)[0]
    assert at == 15
    assert reason.startswith("it took no task, with 1 of 2 slots free, 9 messages in its queues")


def test_worker_that_does_not_begin_what_it_took_is_ill_after_the_patience():
    at, reason = complaints(100, held=1)[0]
    assert at == 15
    assert "1 taken that it did not begin" in reason


@pytest.mark.parametrize("active", [2, 3])
def test_worker_that_works_on_all_its_slots_is_well_however_long_its_queue_is(active: int):
    assert complaints(100, active=active, waiting=1000, held=2) == []


def test_worker_that_takes_a_task_now_and_then_is_well_however_long_its_queue_is():
    judge = Patience(15)
    looks = (replace(WELL, at=float(at), turns=at, waiting=5, progress=at // 10) for at in range(100))
    assert not any(judge.complaint(look) for look in looks)


def test_clocks_start_anew_when_redis_was_away():
    judge = Patience(15)
    for at in range(14):
        assert judge.complaint(replace(WELL, at=float(at), is_consuming=False)) is None
    judge.forgive()
    ill = [at for at in range(14, 60) if judge.complaint(replace(WELL, at=float(at), turns=at, is_consuming=False))]
    assert ill[0] == 14 + 15


def test_illness_that_passes_is_forgotten():
    judge = Patience(15)
    for at in range(100):
        look = replace(WELL, at=float(at), turns=at, is_consuming=at % 10 != 0)
        assert judge.complaint(look) is None
