"""`make bench`, or `python -m benchmarks --help`."""

import argparse
from typing import Any

from rich.console import Console

from benchmarks import (
    all_portfolios,
    dashboard,
    http_servers,
    monitor,
    one_portfolio,
    performance_measures,
    pretrade,
    rolling_and_bootstrap,
    simulated_paths,
    sockets,
    streaming,
    submit_to_push,
)
from benchmarks.measuring import keep

BENCHMARKS: dict[str, Any] = {
    "all_portfolios": all_portfolios,
    "dashboard": dashboard,
    "http_servers": http_servers,
    "monitor": monitor,
    "one_portfolio": one_portfolio,
    "performance_measures": performance_measures,
    "pretrade": pretrade,
    "rolling_and_bootstrap": rolling_and_bootstrap,
    "simulated_paths": simulated_paths,
    "sockets": sockets,
    "streaming": streaming,
    "submit_to_push": submit_to_push,
}


def main() -> None:
    arguments = parsed()
    console = Console()
    for name in arguments.only or BENCHMARKS:
        benchmark = BENCHMARKS[name]
        with console.status(benchmark.TITLE):
            answer = benchmark.run(arguments.rounds, arguments.calls)
        benchmark.show(console, answer)
        if not arguments.dry:
            console.print(f"Kept in {keep(name, answer)}", highlight=False)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds of each contender (default 7)")
    parser.add_argument("--calls", type=int, default=40, help="calls a round (default 40)")
    parser.add_argument("--only", action="append", choices=sorted(BENCHMARKS), help="this one; may be repeated")
    parser.add_argument("--dry", action="store_true", help="keep no results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
