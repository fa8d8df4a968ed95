"""From the Procfile to supervisor's configuration."""

import re
import shlex
import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nautilus.local.errors import BadSettingError
from nautilus.local.home import ROOT, Home
from nautilus.local.servers import tethered

PROCFILE = ROOT / "Procfile"
LINE = re.compile(r"^(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>\S.*)$")
WORKER_NAME = re.compile(r"\bcelery\b.*\bworker\b.* -n (\S+)@%h\b")
# The embedded servers, and the variable that replaces each. Everything else needs them: up first, down last.
STORES = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the Procfile."""

    name: str
    command: str
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_store(self) -> bool:
        return self.name in STORES

    @property
    def group(self) -> str:
        return "stores" if self.is_store else "nautilus"

    @property
    def worker_name(self) -> str | None:
        """A Celery worker's name before the @, None for any other process."""
        found = WORKER_NAME.search(self.command)
        return found[1] if found else None

    @property
    def arguments(self) -> list[str]:
        """The words of the command, with $NAME from the environment that it will run in."""
        try:
            return [string.Template(word).substitute(self.variables) for word in shlex.split(self.command)]
        except (KeyError, ValueError) as error:
            raise BadSettingError(
                f"Procfile, {self.name}: {error} cannot be filled in.", "Set it, or mend the line."
            ) from error


def read_procfile(environment: Mapping[str, str], file: Path = PROCFILE) -> list[Process]:
    """The processes in the file's order; blank lines and comments are passed over."""
    numbered = enumerate(file.read_text().splitlines(), start=1)
    lines = [(number, line.strip()) for number, line in numbered if line.strip() and not line.startswith("#")]
    processes = [_parse(number, line, environment) for number, line in lines]
    names = [process.name for process in processes]
    if len(set(names)) < len(names):
        raise BadSettingError(f"{file} names a process twice: {', '.join(names)}.", "Give each a name of its own.")
    return processes


def _parse(number: int, line: str, environment: Mapping[str, str]) -> Process:
    found = LINE.match(line)
    if found is None:
        raise BadSettingError(f"Procfile, line {number}: {line!r}.", "Expected `name: command`.")
    return Process(found["name"], found["command"], environment)


def supervisor_configuration(home: Home, processes: list[Process]) -> str:
    return "\n".join([_head(home), *(_program(home, process) for process in processes), *_groups(processes)])


def _head(home: Home) -> str:
    socket = _path(home.supervisor_socket)
    return f"""\
; Written by `make run` from the Procfile, anew at every start. To look or to act by hand:
;   {Path(sys.executable).parent / "supervisorctl"} -c {home.supervisor_conf} status
[supervisord]
nodaemon = true
silent = true
logfile = {_path(home.log("supervisord"))}
logfile_maxbytes = 1MB
logfile_backups = 1
pidfile = {_path(home.path / "supervisord.pid")}
[unix_http_server]
file = {socket}
chmod = 0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://{socket}
"""


def _program(home: Home, process: Process) -> str:
    """A process comes back whenever it ends, unless it was told to.

    The stop signal goes to the first process alone: a Celery worker then lets its children finish. Who has not
    ended by stopwaitsecs is killed with its whole group.

    Where supervisord itself was killed the stores stop in order and the rest is killed too: with SIGTERM a Celery
    worker stayed in five of eight tries, its log pipe broken and its broker gone at the same moment.
    """
    end = "TERM" if process.is_store else "KILL"
    command = shlex.join(tethered(process.arguments, parent_pid=0, signal_name=end))
    return f"""\
[program:{process.name}]
command = {_escaped(command)}
directory = {_path(ROOT)}
autostart = false
autorestart = true
startsecs = 1
startretries = 100
stopsignal = {"INT" if process.name == "postgres" else "TERM"}
stopwaitsecs = 20
stopasgroup = false
killasgroup = true
redirect_stderr = true
stdout_logfile = {_path(home.log(process.name))}
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 2
"""


def _groups(processes: list[Process]) -> list[str]:
    """Groups start by rising priority and stop by falling, all of a group at once."""
    members = {
        group: [process.name for process in processes if process.group == group] for group in ("stores", "nautilus")
    }
    return [
        f"[group:{group}]\nprograms = {','.join(names)}\npriority = {priority}\n"
        for priority, (group, names) in enumerate(members.items(), start=1)
        if names
    ]


def _path(path: Path) -> str:
    # Supervisor expands %(name)s in some paths once and in some twice: a percent sign has no spelling that fits both.
    if any(mark in str(path) for mark in ("%", " ;", " #", "\n")):
        raise BadSettingError(
            f"The path {str(path)!r} cannot stand in supervisor's configuration.",
            "Choose a NAUTILUS_HOME without `%`, ` ;` or ` #` in it.",
        )
    return str(path)


def _escaped(command: str) -> str:
    return command.replace("%", "%%")


def write_supervisor_conf(home: Home, processes: list[Process]) -> Path:
    """For our eyes only: a command may carry a password."""
    home.supervisor_conf.touch(mode=0o600)
    home.supervisor_conf.write_text(supervisor_configuration(home, processes))
    return home.supervisor_conf
