"""The counters of many processes: real ones, that count, fork, and are killed."""

import json
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from apps.operations.metrics.families import counted_families
from apps.operations.metrics.folder import Counted, read_folder
from nautilus.counting.processes import ENDED, FOLDER_VARIABLE, forget_counted

ROOT = Path(__file__).parents[3]

COUNT = "counters.count_request('r', 'GET', 200, 0.02)"


@contextmanager
def counting(folder: Path, code: str):
    """A process that runs the code, says so, and lives until it is killed or the block ends."""
    program = f"""
        import os, sys
        from nautilus.counting import counters
        {code}
        print("counted", flush=True)
        sys.stdin.read()
    """
    environment = {**os.environ, FOLDER_VARIABLE: str(folder), "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "counted\n"
        yield process
    finally:
        process.kill()
        process.wait()


def requests_of(counted: Counted) -> float:
    return sample(counted, "nautilus_http_requests_total")


def sample(counted: Counted, name: str, **labels: str) -> float:
    found = [
        one.value
        for family in counted_families(counted)
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    ]
    return sum(found)


def test_processes_are_added_up_and_gauges_are_of_those_that_live(tmp_path):
    code = f"{COUNT}; counters.count_in_progress(1)"
    with counting(tmp_path, code), counting(tmp_path, f"{code}; {COUNT}"):
        counted = read_folder(tmp_path)
        assert (counted.processes, requests_of(counted)) == (2, 3)
        assert sample(counted, "nautilus_http_requests_in_progress") == 2
    counted = read_folder(tmp_path)
    assert (counted.processes, requests_of(counted)) == (0, 3)
    assert sample(counted, "nautilus_http_requests_in_progress") == 0


def test_a_killed_process_keeps_its_counts_and_leaves_no_file(tmp_path):
    with counting(tmp_path, COUNT) as process:
        process.kill()
        process.wait()
        assert requests_of(read_folder(tmp_path)) == 1
    assert {file.name for file in tmp_path.iterdir()} == {ENDED, "reading.lock"}
    for _ in range(3):
        assert requests_of(read_folder(tmp_path)) == 1


def test_the_folder_does_not_grow_with_the_processes_that_come_and_go(tmp_path):
    for _ in range(4):
        with counting(tmp_path, COUNT):
            pass
        counted = read_folder(tmp_path)
    assert requests_of(counted) == 4
    assert len(list(tmp_path.iterdir())) == 2


def test_a_forked_child_counts_for_itself_and_outlives_its_parent(tmp_path):
    code = f"""{COUNT}
        if os.fork() == 0:
            {COUNT}
            os.write(1, b"")
            import time
            while os.getppid() != 1 and not os.path.exists(r"{tmp_path}/stop"):
                time.sleep(0.02)
            while not os.path.exists(r"{tmp_path}/stop"):
                time.sleep(0.02)
            os._exit(0)
        import time
        time.sleep(0.5)"""
    with counting(tmp_path, code) as process:
        counted = read_folder(tmp_path)
        assert (counted.processes, requests_of(counted)) == (2, 2)
        process.kill()
        process.wait()
        counted = read_folder(tmp_path)
        assert (counted.processes, requests_of(counted)) == (1, 2)
    (tmp_path / "stop").touch()


def test_a_reader_that_was_killed_between_folding_and_removing_counts_nothing_twice(tmp_path):
    with counting(tmp_path, COUNT) as process:
        (live,) = tmp_path.glob("*.live")
        files = {file: file.read_bytes() for file in tmp_path.iterdir()}
        process.kill()
        process.wait()
        read_folder(tmp_path)
    for file, content in files.items():
        file.write_bytes(content)  # as if the reader had been killed before it removed them
    assert live.stem in json.loads((tmp_path / ENDED).read_text())["names"]
    assert requests_of(read_folder(tmp_path)) == 1


def test_readers_at_the_same_time_agree(tmp_path):
    with counting(tmp_path, COUNT), counting(tmp_path, COUNT) as process:
        process.kill()
        process.wait()
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: requests_of(read_folder(tmp_path)), range(32))) == {2}


def test_buckets_add_up_as_prometheus_has_them(tmp_path):
    code = "[counters.count_request('r', 'GET', 200, seconds) for seconds in (0.002, 0.002, 0.3, 99)]"
    with counting(tmp_path, code):
        counted = read_folder(tmp_path)
    name = "nautilus_http_request_duration_seconds"
    below = {bound: sample(counted, f"{name}_bucket", le=bound) for bound in ("0.001", "0.0025", "0.5", "30.0", "+Inf")}
    assert below == {"0.001": 0, "0.0025": 2, "0.5": 3, "30.0": 3, "+Inf": 4}
    assert sample(counted, f"{name}_count") == 4
    assert sample(counted, f"{name}_sum") == pytest.approx(99.304)


def test_what_other_libraries_count_there_is_left_out(tmp_path):
    code = f"from prometheus_client import Counter; Counter('flower_events', 'theirs').inc(); {COUNT}"
    with counting(tmp_path, code):
        counted = read_folder(tmp_path)
    assert requests_of(counted) == 1
    assert sample(counted, "flower_events_total") == 0


def test_forgetting_deletes_what_was_counted_and_nothing_else(tmp_path):
    (tmp_path / "letters.txt").write_text("mine")
    with counting(tmp_path, COUNT):
        pass
    read_folder(tmp_path)
    forget_counted(tmp_path)
    assert requests_of(read_folder(tmp_path)) == 0
    assert (tmp_path / "letters.txt").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may mount a tmpfs")
def test_a_full_disk_costs_counts_and_no_process(tmp_path):
    """Without room reserved, the first write to a mapped file ends the process with SIGBUS."""
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=65536", "tmpfs", str(folder)], check=True)
    try:
        (folder / "filling").write_bytes(b"x" * 49_152)
        with counting(folder, f"{COUNT}; {COUNT}") as process:
            assert process.poll() is None
            assert requests_of(read_folder(folder)) == 0
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
