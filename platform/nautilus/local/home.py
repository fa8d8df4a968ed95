"""The home folder of a one-machine set-up: what lies where."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from nautilus.local.errors import BadSettingError

ROOT = Path(__file__).resolve().parents[3]

# A UNIX socket's path has at most 107 bytes. The longest name below the folder is supervisor's temporary one.
SOCKET_FOLDER_MAX_BYTES = 107 - len("/supervisor.sock.4194304")


def default_home() -> Path:
    return Path(os.environ.get("NAUTILUS_HOME") or ROOT / ".nautilus").expanduser().resolve()


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one home folder; nothing is created by asking for one."""

    path: Path

    @property
    def secrets_file(self) -> Path:
        return self.path / "secrets.json"

    @property
    def ports_file(self) -> Path:
        return self.path / "ports.json"

    @property
    def lock_file(self) -> Path:
        return self.path / "lock"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def isolated_file(self) -> Path:
        """What an operator keeps stopped (scripts/isolate-service.sh)."""
        return self.path / "isolated"

    @property
    def postgres_data(self) -> Path:
        return self.path / "postgres"

    @property
    def valkey_data(self) -> Path:
        return self.path / "valkey"

    @property
    def metrics(self) -> Path:
        """What the processes count, each in files of its own; emptied at the start of `make run`."""
        return self.path / "metrics"

    @property
    def supervisor_conf(self) -> Path:
        return self.path / "supervisor.conf"

    @property
    def sockets(self) -> Path:
        """The folder for UNIX sockets: in the home, or a short one where the home's path is too long."""
        inside = self.path / "run"
        if len(os.fsencode(inside)) <= SOCKET_FOLDER_MAX_BYTES:
            return inside
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        return Path(f"/tmp/nautilus-{digest}")  # noqa: S108 - make_folders() refuses one that is not ours

    @property
    def supervisor_socket(self) -> Path:
        return self.sockets / "supervisor.sock"

    @property
    def postgres_socket_folder(self) -> Path:
        # A folder of its own: as root, PostgreSQL's user must be able to write in it, and nowhere else.
        return self.sockets / "pg"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def make_folders(self) -> None:
        """Creates the home; others may pass through it (PostgreSQL's user, when we are root) but list nothing."""
        for folder, mode in ((self.path, 0o711), (self.logs, 0o700), (self.valkey_data, 0o700), (self.sockets, 0o711)):
            _make_own_folder(folder, mode)


def _make_own_folder(folder: Path, mode: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(folder)
        folder.chmod(mode)
    except (OSError, FileExistsError) as error:
        raise BadSettingError(f"The folder {folder} cannot be used: {error.strerror}.", _ANOTHER_HOME) from error


def _refuse_foreign(folder: Path) -> None:
    """In /tmp anybody may have made a folder of that name before us, or a link to one of ours."""
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode) or found.st_uid not in _owners_we_take(folder):
        raise BadSettingError(f"The folder {folder} belongs to uid {found.st_uid}, not to us.", _ANOTHER_HOME)


def _owners_we_take(folder: Path) -> set[int]:
    """Root may run what an ordinary user set up, but not on a folder that anybody could have put there."""
    shared = folder.parent.stat().st_mode & stat.S_IWOTH
    return {os.geteuid()} if os.geteuid() or shared else {0, folder.lstat().st_uid}


_ANOTHER_HOME = "Run as its owner, or set NAUTILUS_HOME to a folder of your own."
