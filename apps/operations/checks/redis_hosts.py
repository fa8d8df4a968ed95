"""The servers of a REDIS_URL that names several: whether another one could take the primary's place (docs/redis.md)."""

from collections.abc import Sequence

from apps.operations.findings import Finding, Status
from apps.operations.stores import SHOW_REPLICATION, has_several_hosts
from nautilus.replication import HostState, redis_hosts


def findings_of_hosts() -> list[Finding]:
    """None where REDIS_URL names one server. Takes as long as redis_hosts does, at the most."""
    return judged(redis_hosts()) if has_several_hosts() else []


def judged(hosts: Sequence[HostState]) -> list[Finding]:
    found = []
    for host in hosts:
        if host.is_stale_primary:
            found.append(_old_primary(host, hosts))
        elif not host.is_reachable:
            cause = f"The {host.kind} {host.host} does not answer: {host.error}"
            found.append(_weaker(f"Redis at {host.host} is away", cause, f"redis-cli -u redis://{host.host} ping"))
        elif host.link == "down":
            cause = f"The replica {host.host} has lost {host.follows}, and is {host.behind_bytes or 0} bytes behind."
            found.append(_weaker(f"Redis at {host.host} does not follow its primary", cause, SHOW_REPLICATION))
    return found


def _old_primary(host: HostState, hosts: Sequence[HostState]) -> Finding:
    primary = next((each.host for each in hosts if each.is_primary), None)
    cause = f"It calls itself a primary, and {primary or 'another one'} is: what it holds is old. Nobody writes to it."
    remedy = f"scripts/manage.sh redis_failover --promote {primary}" if primary else SHOW_REPLICATION
    return _weaker(f"The old primary {host.host} is back", cause, remedy)


def _weaker(symptom: str, cause: str, remedy: str) -> Finding:
    return Finding(Status.DEGRADED, symptom, cause, remedy, "redis-primary-lost")
