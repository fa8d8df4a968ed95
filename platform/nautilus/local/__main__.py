"""The command line of the one-machine runtime: see nautilus.local."""

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

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
    parser.set_defaults(command=_run, once=False, jobs=True)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    run = commands.add_parser("run", help="start everything and serve until Ctrl-C (the default)")
    run.set_defaults(command=_run)
    for of in (parser, run):
        jobs = of.add_mutually_exclusive_group()
        jobs.add_argument("--once", action="store_true", help="run the sample jobs, print their tables and stop")
        jobs.add_argument("--no-jobs", dest="jobs", action="store_false", help="serve at once, without the sample jobs")
    for name, command in (("postgres", _postgres), ("valkey", _valkey)):
        server = commands.add_parser(name, help=f"the embedded {name} in the foreground, for the Procfile")
        server.add_argument("--no-fsync", dest="fsync", action="store_false", help="for data that a crash may take")
        server.set_defaults(command=command)
    _add_control(commands)
    status = commands.add_parser("status", help="what runs, and where")
    status.add_argument("--json", dest="as_json", action="store_true", help="for programs")
    status.set_defaults(command=_status)
    env = commands.add_parser("env", help="print export lines for a shell: what the platform runs with, or would")
    env.add_argument("--libpq", action="store_true", help="also PGHOST and the like, for psql and pg_dump")
    env.set_defaults(command=_env)
    return parser


def _add_control(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    for name, what in (
        ("start", "start processes of a running platform"),
        ("stop", "stop them; they stay stopped until started"),
        ("restart", "stop them and start them again"),
    ):
        control = commands.add_parser(name, help=what)
        control.add_argument("names", nargs="+", metavar="NAME", help="of the Procfile, or all")
        control.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="to wait for each (120)")
        control.set_defaults(command=_control, action=name)
    stores = commands.add_parser("with-stores", help="run a command with PostgreSQL and Valkey up for its time")
    stores.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    stores.set_defaults(command=_with_stores)


def _run(options: argparse.Namespace) -> int:
    from nautilus.local.run import run

    return run(default_home(), once=options.once, jobs=options.jobs)


def _postgres(options: argparse.Namespace) -> int:
    from nautilus.local import postgres

    postgres.serve(_own_home(), fsync=options.fsync)


def _valkey(options: argparse.Namespace) -> int:
    from nautilus.local import valkey

    valkey.serve(_own_home(), fsync=options.fsync)


def _status(options: argparse.Namespace) -> int:
    from nautilus.local.status import show_status

    return show_status(Home(default_home()), as_json=options.as_json)


def _env(options: argparse.Namespace) -> int:
    from nautilus.local.control import libpq_environment, platform_environment

    variables = platform_environment(Home(default_home()))
    if options.libpq:
        variables |= libpq_environment(variables["DATABASE_URL"])
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _control(options: argparse.Namespace) -> int:
    from nautilus.local import control

    home = Home(default_home())
    done = {"start": "started", "stop": "stopped", "restart": "restarted"}[options.action]
    if options.action == "stop":
        names = control.stop(home, options.names)
    else:
        names = getattr(control, options.action)(home, options.names, options.timeout)
    print(f"{done}: {', '.join(names)}" if names else f"nothing to do: {', '.join(options.names)} {_AS_IT_WAS[done]}")
    return 0


_AS_IT_WAS = {"started": "runs already", "stopped": "does not run", "restarted": "is as it was"}


def _with_stores(options: argparse.Namespace) -> int:
    from nautilus.local.with_stores import run_with_stores

    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        raise LocalError("with-stores was given no command.", "Expected: with-stores -- COMMAND ARGUMENTS...")
    return run_with_stores(Home(default_home()), words)


def _own_home() -> Home:
    home = Home(Path(default_home()))
    home.make_folders()
    return home


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
