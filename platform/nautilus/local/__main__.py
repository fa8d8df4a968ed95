"""The command line of the one-machine runtime: see nautilus.local."""

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from nautilus.local.environment import local_environment
from nautilus.local.errors import LocalError
from nautilus.local.home import Home, default_home


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except LocalError as error:
        print(f"{error.detail}\n{error.remedy}".rstrip(), file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nautilus.local", description="Nautilus on one machine.")
    parser.set_defaults(command=_run, once=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    run = commands.add_parser("run", help="start everything and serve until Ctrl-C (the default)")
    run.set_defaults(command=_run)
    for of in (parser, run):
        of.add_argument("--once", action="store_true", help="run the sample jobs, print their tables and stop")
    for name, command in (("postgres", _postgres), ("valkey", _valkey)):
        server = commands.add_parser(name, help=f"the embedded {name} in the foreground, for the Procfile")
        server.add_argument("--no-fsync", dest="fsync", action="store_false", help="for data that a crash may take")
        server.set_defaults(command=command)
    commands.add_parser("status", help="what runs, and where").set_defaults(command=_status)
    commands.add_parser("env", help="print export lines for a shell").set_defaults(command=_env)
    return parser


def _run(options: argparse.Namespace) -> int:
    from nautilus.local.run import run

    return run(default_home(), once=options.once)


def _postgres(options: argparse.Namespace) -> int:
    from nautilus.local import postgres

    postgres.serve(_own_home(), fsync=options.fsync)


def _valkey(options: argparse.Namespace) -> int:
    from nautilus.local import valkey

    valkey.serve(_own_home(), fsync=options.fsync)


def _status(options: argparse.Namespace) -> int:
    from nautilus.local.status import show_status

    return show_status(Home(default_home()))


def _env(options: argparse.Namespace) -> int:
    for name, value in local_environment(default_home()).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _own_home() -> Home:
    home = Home(Path(default_home()))
    home.make_folders()
    return home


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
