"""Which of our processes a session of PostgreSQL belongs to, as operators read it in pg_stat_activity."""

from collections.abc import Sequence
from pathlib import PurePath

OURS = "nautilus"
MOST_CHARACTERS = 63  # PostgreSQL cuts what is longer


def application_name(arguments: Sequence[str]) -> str:
    """`nautilus risk-worker` for that worker, `nautilus scheduler` for beat, `nautilus serve`, `nautilus migrate`.

    From the process' own command line: a child of a worker has its parent's.
    """
    return f"{OURS} {_part(arguments)}".strip()[:MOST_CHARACTERS]


def _part(arguments: Sequence[str]) -> str:
    program, *rest = arguments or [""]
    name = PurePath(program).name
    if "worker" in rest and "-n" in rest[:-1]:
        return rest[rest.index("-n") + 1].split("@")[0]
    if "beat" in rest:
        return "scheduler"
    if name == "manage.py":
        return rest[0] if rest else ""
    return PurePath(program).parent.name if name == "__main__.py" else PurePath(name).stem
