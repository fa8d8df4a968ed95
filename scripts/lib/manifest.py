"""What a backup says of itself: manifest.json, beside the dump. Standard library alone: also for a host of containers.

manifest.py write FOLDER MODE SERVER_MAJOR CODE < lines     made of the lines of fingerprints.sql
manifest.py compare FOLDER < lines                          says what differs; exit code 1 where something does
manifest.py value FOLDER NAME                               one of its values
manifest.py unknown-migrations FOLDER < names               the backup's migrations that are not among the names
"""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FORMAT = 1
Facts = dict[str, Any]


def main(command: str, folder: str, *words: str) -> int:
    return COMMANDS[command](Path(folder) / "manifest.json", *words)


def write(file: Path, mode: str, server_major: str, code: str) -> int:
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    head = {"format": FORMAT, "made_at": made, "mode": mode, "code": code, "server_major": int(server_major)}
    file.write_text(json.dumps({**head, **read_lines()}, indent=1) + "\n")
    return 0


def compare(file: Path) -> int:
    stored, found = _load(file), read_lines()
    differences = [*_differing_tables(stored["tables"], found["tables"]), *_differing_migrations(stored, found)]
    print("\n".join(differences) or f"equal: {len(found['tables'])} tables, {_rows(found)} rows")
    return 1 if differences else 0


def value(file: Path, name: str) -> int:
    print(_load(file)[name])
    return 0


def unknown_migrations(file: Path) -> int:
    known = {line.strip() for line in sys.stdin}
    print("\n".join(name for name in _load(file)["migrations"] if name not in known))
    return 0


def summary(file: Path) -> int:
    stored = _load(file)
    print(f"made {stored['made_at']} by {stored['code']}: {len(stored['tables'])} tables, {_rows(stored)} rows")
    return 0


def read_lines() -> Facts:
    """The lines of fingerprints.sql; a fingerprint stays text: it has more digits than JSON's numbers keep."""
    facts: Facts = {"tables": {}, "migrations": [], "extensions": []}
    for line in sys.stdin.read().splitlines():
        kind, name, *rest = line.split("\t")
        if kind == "table":
            facts["tables"][name] = {"rows": int(rest[0]), "fingerprint": rest[1]}
        elif kind in ("migration", "extension"):
            facts[f"{kind}s"].append(name)
    return facts


def _load(file: Path) -> Facts:
    stored: Facts = json.loads(file.read_text())
    if stored.get("format") != FORMAT:
        sys.exit(f"{file} has the format {stored.get('format')!r}; this version reads {FORMAT}.")
    return stored


def _rows(facts: Facts) -> int:
    return sum(table["rows"] for table in facts["tables"].values())


def _differing_tables(stored: Facts, found: Facts) -> list[str]:
    return [
        f"{name}: {_shown(stored.get(name))} in the backup, {_shown(found.get(name))} in the database"
        for name in sorted({*stored, *found})
        if stored.get(name) != found.get(name)
    ]


def _shown(table: Facts | None) -> str:
    return "no table" if table is None else f"{table['rows']} rows ({table['fingerprint']})"


def _differing_migrations(stored: Facts, found: Facts) -> list[str]:
    return [
        f"migration {name} stands on one side alone"
        for name in sorted({*stored["migrations"]} ^ {*found["migrations"]})
    ]


COMMANDS: dict[str, Callable[..., int]] = {
    "write": write,
    "compare": compare,
    "value": value,
    "unknown-migrations": unknown_migrations,
    "summary": summary,
}

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
