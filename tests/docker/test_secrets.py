"""Secrets from files: who makes them, and how settings and Redis read them."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nautilus.addresses import with_password
from nautilus.local.home import ROOT

MAKE = ROOT / "docker" / "make-secrets.sh"
SHOW = "from django.conf import settings as s; print(s.SECRET_KEY, s.DATABASES['default']['PASSWORD'], s.REDIS_URL)"


def made(folder: Path, *options: str) -> str:
    return subprocess.run([str(MAKE), *options, str(folder)], capture_output=True, text=True, check=True).stdout


def shown(**variables: str) -> "subprocess.CompletedProcess[str]":
    """What the settings make of an environment with nothing else of ours in it."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}", **variables}
    environment["DJANGO_SETTINGS_MODULE"] = "nautilus.settings"
    return subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=False)


def test_each_secret_is_made_once_with_a_value_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made(folder)
    values = {file.name: file.read_text() for file in folder.iterdir()}
    assert len(set(values.values())) == len(values) == 6
    assert min(len(value.strip()) for value in values.values()) >= 16
    assert made(folder).count("kept") == len(values)
    assert {file.name: file.read_text() for file in folder.iterdir()} == values


def test_folder_of_secrets_is_closed_and_its_files_are_readable_for_the_containers(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o444}


def test_dry_run_makes_nothing(tmp_path: Path) -> None:
    said = made(tmp_path / "secrets", "--dry-run")
    assert said.count("would make") == 6
    assert not (tmp_path / "secrets").exists()


def test_settings_read_their_secrets_from_files(tmp_path: Path) -> None:
    made(tmp_path)
    done = shown(
        NAUTILUS_SECRET_KEY_FILE=str(tmp_path / "secret_key"),
        DATABASE_URL="postgresql://nautilus@postgres:5432/nautilus",
        DATABASE_PASSWORD_FILE=str(tmp_path / "postgres_password"),
        REDIS_URL="redis://redis:6379/0",
        REDIS_PASSWORD_FILE=str(tmp_path / "redis_password"),
    )
    key, postgres, redis = (
        (tmp_path / name).read_text().strip() for name in ("secret_key", "postgres_password", "redis_password")
    )
    assert done.stdout.split() == [key, postgres, f"redis://:{redis}@redis:6379/0"], done.stderr


def test_a_file_that_is_not_there_stops_the_start_with_its_name() -> None:
    done = shown(
        NAUTILUS_SECRET_KEY_FILE="/run/secrets/none",
        DATABASE_URL="postgresql://nautilus@postgres/nautilus",
        REDIS_URL="redis://redis:6379/0",
    )
    assert done.returncode != 0
    assert "NAUTILUS_SECRET_KEY_FILE" in done.stderr


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://redis:6379/0", "redis://:p%40ss%2F@redis:6379/0"),
        ("postgresql://nautilus@postgres:5432/n", "postgresql://nautilus:p%40ss%2F@postgres:5432/n"),
        ("redis://:own@redis:6379/0", "redis://:own@redis:6379/0"),
        ("redis://a:1/0;redis://b:2/0", "redis://:p%40ss%2F@a:1/0;redis://:p%40ss%2F@b:2/0"),
        ("redis://a:1/0;redis://:own@b:2/0", "redis://:p%40ss%2F@a:1/0;redis://:own@b:2/0"),
        ("redis+sentinel://a:1,b:2/service/0", "redis+sentinel://:p%40ss%2F@a:1,b:2/service/0"),
        ("postgresql://nautilus@a,b/n", "postgresql://nautilus:p%40ss%2F@a,b/n"),
    ],
)
def test_password_is_put_where_none_stands(url: str, expected: str) -> None:
    assert with_password(url, "p@ss/") == expected
    assert with_password(url, "") == url
