"""The sockets of all web processes, by what their hubs say of themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

from apps.operations.checks.registry import register_check
from apps.operations.findings import Finding, Health, Status
from apps.realtime.control import Answers
from apps.realtime.latency import Latencies
from apps.realtime.statistics import connection_stats
from apps.realtime.websocket_manager import WebSocketManager

ANSWER_SECONDS = 0.8  # a hub that lives answers in some ms; the check itself has its own limit
# Of MAX_CONNECTIONS, in any one process.
FULL_SHARE = 0.90
# From a message's publication to its writing to a socket.
SLOW_P99_MS = 1_000.0

RESTART_WEB = "scripts/restart-service.sh web"
# The origin is the far side's word: it stands in the cause, and never in a line for a shell.
TRUST_ORIGIN = f"{RESTART_WEB}  # after its origin was added to NAUTILUS_TRUSTED_ORIGINS: only if the page is yours"
RESTART_HUBS = "curl -X POST http://localhost:8001/api/v1/sprint3/websocket/restart"


@register_check("websocket")
def check_websocket() -> Health:
    answers = WebSocketManager(timeout_seconds=ANSWER_SECONDS).ask()
    findings = [*_of_processes(answers), *_of_room(answers), *_of_origins(answers), *_of_delivery(answers)]
    return Health(_detail(answers), tuple(findings))


def _detail(answers: Answers) -> str:
    stats, p99 = connection_stats(answers), _p99_ms(answers)
    told = f"{len(answers)} processes, {stats['active']} of {stats['max']} sockets, {stats['users']} users"
    return f"{told}, p99 {p99:.1f} ms" if p99 is not None else told


def _of_processes(answers: Answers) -> list[Finding]:
    if not answers.asked:
        cause = "No web process listens on the hubs' channel in Redis: none runs, or all have lost Redis."
        return [_silent(Status.UNHEALTHY, "Nothing arrives at the sockets", cause)]
    if not answers.silent:
        return []
    cause = f"{answers.silent} of {answers.asked} web processes did not answer within {ANSWER_SECONDS:g} s."
    status = Status.DEGRADED if answers else Status.UNHEALTHY
    return [_silent(status, "Web processes do not answer: their sockets may be stuck", cause)]


def _silent(status: Status, symptom: str, cause: str) -> Finding:
    return Finding(status, symptom, cause, RESTART_WEB, "sockets-subscribed-but-silent")


def _of_room(answers: Answers) -> list[Finding]:
    turned_away = _lately(answers, "turned_away")
    full = [report for report in answers if report["active"] > FULL_SHARE * report["max"]]
    if turned_away:
        cause = f"{turned_away} sockets were turned away in the last minute; {_fullest(answers)}."
        return [_room(Status.UNHEALTHY, "No more sockets are taken", cause)]
    return [_room(Status.DEGRADED, "Few sockets are left", f"{_fullest(full)}.")] if full else []


def _fullest(reports: Sequence[Mapping[str, Any]]) -> str:
    report = max(reports, key=lambda one: one["active"] / one["max"])
    return f"{report['process']} has {report['active']} of its {report['max']} sockets (NAUTILUS_MAX_CONNECTIONS)"


def _room(status: Status, symptom: str, cause: str) -> Finding:
    return Finding(status, symptom, cause, RESTART_HUBS, "sockets-pool-exhausted")


def _of_origins(answers: Answers) -> list[Finding]:
    refused = _lately(answers, "refused_origins")
    if not refused:
        return []
    last = next((origin for report in answers if (origin := report.get("last_refused_origin"))), "unknown")
    return [
        Finding(
            Status.DEGRADED,
            "Sockets are refused by their origin",
            f"{refused} in the last minute, the last of a page of {last!r}: it is not in NAUTILUS_TRUSTED_ORIGINS.",
            TRUST_ORIGIN,
            "sockets-refused-by-origin",
        )
    ]


def _of_delivery(answers: Answers) -> list[Finding]:
    slow, dropped = _lately(answers, "slow_consumers"), _lately(answers, "dropped")
    stale, p99 = sum(report.get("stale", 0) for report in answers), _p99_ms(answers)
    found = []
    if slow or dropped:
        cause = f"{slow} clients were too slow in the last minute and were closed (4008); {dropped} messages dropped."
        found.append(_slow(cause))
    if p99 is not None and p99 > SLOW_P99_MS:
        found.append(_slow(f"p99 from publication to the socket is {p99:.0f} ms; expected {SLOW_P99_MS:.0f} at most."))
    if stale:
        cause = f"{stale} clients read nothing for two heartbeats; each process closes its own at its next heartbeat."
        found.append(
            Finding(Status.DEGRADED, "Connections are stale", cause, RESTART_HUBS, "sockets-stale-connections")
        )
    return found


def _p99_ms(answers: Answers) -> float | None:
    together = Latencies()
    for report in answers:
        together.merge(Latencies.from_counts(report["latency_counts"]))
    return together.percentile(99)


def _slow(cause: str) -> Finding:
    return Finding(Status.DEGRADED, "Messages arrive late", cause, RESTART_HUBS, "sockets-slow-delivery")


def _lately(answers: Answers, name: str) -> int:
    return sum(report.get("lately", {}).get(name, 0) for report in answers)
