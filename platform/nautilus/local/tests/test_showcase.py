import io
from typing import Any

from rich.console import Console

from nautilus.local.showcase import show_samples
from nautilus.local.tests.small_sockets import SocketApi, serving


def printed(console: Console) -> str:
    return console.file.getvalue()


def show_sample_jobs(address: str, console: Console, **more: Any) -> int:
    """Without deployments: test_showcase_deployments.py."""
    return show_samples(address, console, asked=(), **more)


def test_figures_stand_in_full_where_the_output_is_no_terminal(serve, console):
    assert show_sample_jobs(serve("PORTFOLIO_001"), console) == 0

    (row,) = [line for line in printed(console).splitlines() if line.startswith("PORTFOLIO_001 ") and "," in line]
    figures = ["3,631,775.22", "6,833.52", "97,010.09", "118,440.60", "183.12%", "13.90%", "0.81", "-31.49%"]
    assert row.split()[1:-1] == figures


def test_figures_stand_in_full_in_a_narrow_terminal(serve):
    narrow = Console(file=io.StringIO(), width=40)
    assert show_sample_jobs(serve("PORTFOLIO_001"), narrow) == 0

    assert all(figure in printed(narrow) for figure in ("3,631,775.22", "97,010.09", "118,440.60", "-31.49%"))


def test_every_page_of_portfolios_is_shown(serve, console):
    assert show_sample_jobs(serve("PORTFOLIO_001", "PORTFOLIO_002", "PORTFOLIO_003"), console) == 0

    assert all(f"PORTFOLIO_00{n}" in printed(console) for n in (1, 2, 3))


def test_failed_job_makes_it_fail_and_says_why_and_what_to_do(serve, console):
    assert show_sample_jobs(serve("PORTFOLIO_BAD", "PORTFOLIO_001"), console) == 1

    assert "PORTFOLIO_BAD risk (risk-PORTFOLIO_BAD) failed: insufficient_history" in printed(console)
    assert "AAPL has 3 returns, 500 are needed. Import prices." in printed(console)
    assert "97,010.09" in printed(console)


def test_job_that_does_not_end_makes_it_fail_after_the_time_allowed(serve, console):
    assert show_sample_jobs(serve("PORTFOLIO_SLOW"), console, timeout_seconds=0.5) == 1

    assert "PORTFOLIO_SLOW risk (risk-PORTFOLIO_SLOW) did not end" in printed(console)


def test_proxy_of_the_environment_is_not_asked(serve, console, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert show_sample_jobs(serve("PORTFOLIO_001"), console) == 0


def test_server_that_does_not_answer_is_said_in_one_line(console):
    assert show_sample_jobs("http://127.0.0.1:9", console) == 1

    assert "The samples could not be shown" in printed(console)


def test_jobs_are_followed_by_the_socket_and_not_asked_for(console):
    with serving(SocketApi()) as api:
        assert show_sample_jobs(api.address, console) == 0

    assert all(figure in printed(console) for figure in ("97,010.09", "118,440.60", "183.12%", "-31.49%"))
    assert api.asked == []


def test_jobs_whose_socket_breaks_off_are_followed_by_the_next_one(console):
    with serving(SocketApi(breaks=1)) as api:
        assert show_sample_jobs(api.address, console) == 0

    assert "97,010.09" in printed(console)
    assert api.asked == []


def test_job_whose_messages_are_lost_is_asked_for(console):
    with serving(SocketApi(loses="risk-PORTFOLIO_001")) as api:
        assert show_sample_jobs(api.address, console) == 0

    assert "97,010.09" in printed(console)
    assert set(api.asked) == {"risk-PORTFOLIO_001"}


def test_job_whose_result_is_too_long_to_be_pushed_is_asked_for(console):
    with serving(SocketApi(shortens="risk-PORTFOLIO_001")) as api:
        assert show_sample_jobs(api.address, console) == 0

    assert "97,010.09" in printed(console)
    assert set(api.asked) == {"risk-PORTFOLIO_001"}
