import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
import pytest

from nautilus.local.environment import VALKEY_PORTS, local_environment, refuse_equal_ports
from nautilus.local.errors import BadSettingError
from nautilus.local.home import SOCKET_FOLDER_MAX_BYTES, Home
from nautilus.local.servers import settle_valkey_port


def test_second_start_has_the_secrets_of_the_first(home):
    assert local_environment(home) == local_environment(home)


def test_two_homes_share_no_secret(home, tmp_path):
    one, other = local_environment(home), local_environment(tmp_path / "other")

    for name in ("NAUTILUS_SECRET_KEY", "NAUTILUS_ADMIN_PASSWORD", "FLOWER_BASIC_AUTH", "DATABASE_URL"):
        assert one[name] != other[name]


def test_secrets_are_for_their_owner_alone(home, environment):
    assert Home(home).secrets_file.stat().st_mode & 0o777 == 0o600


def test_secret_of_a_newer_version_is_added_beside_the_old_ones(home, environment):
    file = Home(home).secrets_file
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({name: kept[name] for name in kept if name != "flower_password"}))

    again = local_environment(home)

    assert again["NAUTILUS_SECRET_KEY"] == environment["NAUTILUS_SECRET_KEY"]
    assert again["FLOWER_BASIC_AUTH"] != environment["FLOWER_BASIC_AUTH"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_the_caller_sets_stays(home, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://me@elsewhere/book")
    monkeypatch.setenv("NAUTILUS_PORT", "9001")

    environment = local_environment(home)

    assert environment["DATABASE_URL"] == "postgresql://me@elsewhere/book"
    assert environment["NAUTILUS_PORT"] == "9001"


def test_empty_variable_counts_as_unset(home, monkeypatch):
    monkeypatch.setenv("NAUTILUS_PORT", "")

    assert local_environment(home)["NAUTILUS_PORT"] == "8001"


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "80.0", "٨٠٠١", " 8001"])
def test_port_that_is_none_is_refused_with_its_name_and_value(home, monkeypatch, value):
    monkeypatch.setenv("NAUTILUS_FLOWER_PORT", value)

    with pytest.raises(BadSettingError, match="NAUTILUS_FLOWER_PORT is ") as refusal:
        local_environment(home)

    assert repr(value) in refusal.value.detail
    assert "from 1 to 65535" in refusal.value.remedy


def test_one_port_for_two_servers_is_refused(environment):
    with pytest.raises(BadSettingError, match="both 8001"):
        refuse_equal_ports({**environment, "NAUTILUS_FLOWER_PORT": "8001"})


def test_secrets_that_are_no_json_are_refused_not_replaced(home, environment):
    file = Home(home).secrets_file
    file.write_text("{broken")

    with pytest.raises(BadSettingError, match="is not JSON"):
        local_environment(home)

    assert file.read_text() == "{broken"


def test_django_reads_the_socket_folder_out_of_the_url(home, environment):
    database = dj_database_url.parse(environment["DATABASE_URL"])

    assert database["HOST"] == str(home / "run" / "pg")
    assert (database["USER"], database["NAME"]) == ("nautilus", "nautilus")


def test_socket_folder_of_a_long_home_is_a_short_one(home):
    deep = Home(home / ("long" * 30))

    assert len(os.fsencode(deep.sockets)) <= SOCKET_FOLDER_MAX_BYTES
    assert deep.sockets != Home(home / ("long" * 31)).sockets


def test_link_in_the_place_of_a_folder_is_refused(home, tmp_path):
    (home / "run").symlink_to(tmp_path)

    with pytest.raises(BadSettingError, match="belongs to uid"):
        local_environment(home)


def test_file_in_the_place_of_the_home_is_refused(tmp_path):
    (tmp_path / "home").write_text("")

    with pytest.raises(BadSettingError, match="cannot be used"):
        local_environment(tmp_path / "home")


def test_valkey_keeps_its_port_while_it_is_free(home, environment):
    settle_valkey_port(Home(home))

    assert local_environment(home)["REDIS_URL"] == environment["REDIS_URL"]


def test_valkey_gets_another_port_where_somebody_took_its_own(home, environment):
    port = urlsplit(environment["REDIS_URL"]).port
    with socket.create_server(("127.0.0.1", port)):
        settle_valkey_port(Home(home))

    other = urlsplit(local_environment(home)["REDIS_URL"]).port
    assert other != port
    assert other in VALKEY_PORTS


def test_shell_takes_the_printed_lines(home):
    printed = subprocess.run(
        [sys.executable, "-m", "nautilus.local", "env"],
        env={**os.environ, "NAUTILUS_HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    script = f'{printed}\nprintf %s "$DATABASE_URL"'
    assert subprocess.check_output(["sh", "-c", script], text=True) == local_environment(home)["DATABASE_URL"]
