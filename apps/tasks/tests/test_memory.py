"""Tasks that ask for more memory than there is: they fail with a word, in a process that goes on."""

import subprocess
import sys

import numpy as np
import pytest
from django.conf import settings

from apps.tasks.execution import Job, Outcome, execute, take
from apps.tasks.tests.factories import make_task

MORE_THAN_ANY_MACHINE_HAS = 2**56

LIMITED = """
from django.conf import settings
settings.configure(WORKER_MEMORY_LIMIT_MB=256)
from nautilus.celery import limit_memory
limit_memory()
bytearray(16 * 2**20)
try:
    bytearray(512 * 2**20)
except MemoryError:
    print("refused")
"""


@pytest.mark.django_db
def test_job_that_asks_for_too_much_fails_with_the_limit_and_what_to_do():
    def ask_for_too_much(_: Job) -> Outcome:
        return Outcome({"size": np.empty(MORE_THAN_ANY_MACHINE_HAS, dtype=np.int8).size})

    task = make_task()
    execute(take(str(task.pk), "w1"), ask_for_too_much)
    task.refresh_from_db()
    assert (task.status, task.error["code"]) == ("failed", "out_of_memory")
    assert f"({settings.WORKER_MEMORY_LIMIT_MB} MB)" in task.error["detail"]
    assert "NAUTILUS_WORKER_MEMORY_LIMIT_MB" in task.error["remedy"]


def test_pool_process_gets_no_more_memory_than_its_limit():
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False)
    assert done.stdout == "refused\n", done.stderr


def test_process_that_leaks_is_replaced_before_it_meets_the_limit():
    assert settings.CELERY_WORKER_MAX_MEMORY_PER_CHILD == settings.WORKER_MEMORY_MB * 1024
    assert settings.WORKER_MEMORY_MB < settings.WORKER_MEMORY_LIMIT_MB
