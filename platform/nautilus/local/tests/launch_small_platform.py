"""The launcher on a platform of a few lines: only the Procfile and what fills the database are other."""

import sys
from pathlib import Path

from nautilus.local import run
from nautilus.local.home import default_home
from nautilus.local.procfile import read_procfile

HERE = Path(__file__).parent
WORKER = "celery -A nautilus.local.tests.small_platform worker -n risk-worker@%h -c 1"
PROCFILE = f"""
postgres: python -m nautilus.local postgres
redis: python -m nautilus.local valkey
web: python '{HERE / "small_platform.py"}' $NAUTILUS_PORT
risk-worker: {WORKER} --without-gossip --without-mingle
"""


def main(*arguments: str) -> int:
    file = default_home().with_suffix(".procfile")
    broken = "broken: python -c 'import sys; sys.exit(\"broken on purpose\")'\n"
    file.write_text(PROCFILE + (broken if "--broken" in arguments else ""))
    run.read_procfile = lambda environment: read_procfile(environment, file)
    run._Launch._fill_database = lambda self: None  # type: ignore[method-assign]
    return run.run(default_home(), once="--once" in arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
