"""Repositories made by Git itself, and spoilt."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

Git = Callable[..., str]

IDENTITY = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"} | {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Jane Doe"), ("EMAIL", "jane@example.org"))
}


def git_in(folder: Path) -> Git:
    """Git in the folder, as Jane Doe; `date` is of author and committer, now without it, `stdin` bytes."""

    def run(*arguments: str, date: str = "", stdin: bytes = b"") -> str:
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}
        environment = os.environ | IDENTITY | dates
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, input=stdin
        )
        return done.stdout.decode()

    return run


def make_repository(folder: Path, message: str = "Start", date: str = "") -> Git:
    """One commit on `main`, with `x = 1` as its code."""
    folder.mkdir()
    git = git_in(folder)
    git("init", "-q", "-b", "main")
    (folder / "strategy.py").write_text("x = 1\n")
    git("add", "-A")
    git("commit", "-q", "-m", message, date=date)
    return git


def put_on_main(folder: Path, git: Git, commit: str) -> None:
    """A commit as its text says, whatever Git thinks of it."""
    name = git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=commit.encode())
    (folder / ".git" / "refs" / "heads" / "main").write_text(name)
