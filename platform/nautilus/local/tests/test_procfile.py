import configparser
import shlex
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from nautilus.local.errors import BadSettingError
from nautilus.local.home import Home
from nautilus.local.procfile import Process, read_procfile, supervisor_configuration, write_supervisor_conf


@pytest.fixture
def processes(environment):
    return read_procfile(environment)


def parsed(home: Path, processes: list[Process]) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(supervisor_configuration(Home(home), processes))
    return parser


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "Procfile"
    file.write_text(text)
    return file


def test_our_procfile_has_the_names_of_the_contract(processes):
    assert [process.name for process in processes] == [
        *("postgres", "redis", "web"),
        *("risk-worker", "analytics-worker", "strategy-deployer", "maintenance-worker", "alert-sender"),
        *("scheduler", "market-feed", "analytics-engine", "flower"),
    ]


def test_every_queue_of_the_contract_has_a_worker(processes):
    queues = [process.arguments[process.arguments.index("-Q") + 1] for process in processes if process.worker_name]

    served = {name for several in queues for name in several.split(",")}
    assert served == {"risk_queue", "analytics_queue", "strategy_queue", "maintenance_queue", "alerts_queue"}


def test_workers_are_known_by_the_name_that_they_answer_with(processes):
    workers = {process.worker_name for process in processes} - {None}

    ours = {"risk-worker", "analytics-worker", "strategy-deployer", "maintenance-worker", "alert-sender"}
    assert workers == ours


def test_variable_of_a_line_is_filled_in(processes):
    flower = next(process for process in processes if process.name == "flower")

    assert "--port=5555" in flower.arguments


def test_variable_that_nobody_set_is_refused_with_its_name(tmp_path):
    (process,) = read_procfile({}, written(tmp_path, "web: serve --port $NO_SUCH_PORT\n"))

    with pytest.raises(BadSettingError, match="NO_SUCH_PORT"):
        _ = process.arguments


def test_line_that_is_no_process_is_refused_with_its_number(tmp_path):
    with pytest.raises(BadSettingError, match="line 3: 'web serve'"):
        read_procfile({}, written(tmp_path, "# two lines\n\nweb serve\n"))


def test_name_given_twice_is_refused(tmp_path):
    with pytest.raises(BadSettingError, match="twice"):
        read_procfile({}, written(tmp_path, "web: a\nweb: b\n"))


def test_process_comes_back_and_waits_for_its_start(home, processes):
    for process in processes:
        section = parsed(home, processes)[f"program:{process.name}"]
        assert (section["autostart"], section["autorestart"]) == ("false", "true")


def test_only_the_first_process_gets_the_stop_signal_and_the_group_is_killed_after_it(home, processes):
    section = parsed(home, processes)["program:risk-worker"]

    assert (section["stopsignal"], section["stopasgroup"], section["killasgroup"]) == ("TERM", "false", "true")
    # Celery's soft shutdown takes up to 10 s (settings.py); the kill must come after it.
    assert int(section["stopwaitsecs"]) > 10


def test_postgres_is_stopped_fast(home, processes):
    assert parsed(home, processes)["program:postgres"]["stopsignal"] == "INT"


def test_stores_start_first_and_so_stop_last(home, processes):
    groups = parsed(home, processes)

    assert groups["group:stores"]["programs"] == "postgres,redis"
    assert int(groups["group:stores"]["priority"]) < int(groups["group:nautilus"]["priority"])


def test_group_without_processes_is_left_out(home, processes):
    without_stores = [process for process in processes if not process.is_store]

    assert "group:stores" not in parsed(home, without_stores)


def test_supervisor_itself_reads_what_we_wrote(home, processes):
    options = ServerOptions()
    options.realize(["-c", str(write_supervisor_conf(Home(home), processes))])

    found = {program.name: program for group in options.process_group_configs for program in group.process_configs}
    assert set(found) == {process.name for process in processes}
    assert shlex.split(found["web"].command)[-len(processes[2].arguments) :] == processes[2].arguments
    assert found["web"].stdout_logfile == str(home / "logs" / "web.log")


def test_percent_sign_of_a_command_reaches_the_process(home, processes):
    options = ServerOptions()
    options.realize(["-c", str(write_supervisor_conf(Home(home), processes))])

    commands = [program.command for group in options.process_group_configs for program in group.process_configs]
    assert any("-n risk-worker@%h -Q" in command for command in commands)


def test_home_that_supervisor_cannot_read_is_refused(processes):
    with pytest.raises(BadSettingError, match="100%"):
        supervisor_configuration(Home(Path("/srv/100%")), processes)


def test_configuration_is_for_its_owner_alone(home, processes):
    assert write_supervisor_conf(Home(home), processes).stat().st_mode & 0o777 == 0o600
