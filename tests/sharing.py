"""Which tests go to the same process of pytest-xdist: those that share a running platform, else those of a file.

By the file's path, because that is all that the process which hands them out knows. pytest-xdist's own groups
(`xdist_group`) are without effect under pytest 9.2.
"""

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

# They run every script and command, and restart services: a desk of their own, beside that of the symptoms.
COMMANDS = ("test_runbook.py", "test_health_script.py")
WITH_PLATFORMS_OF_THEIR_OWN = ("test_backup_restore.py", "test_redis_failover.py")
ON_THE_SESSIONS_PLATFORM = (
    *("tests/test_faults.py", "tests/test_reserving_at_once.py", "tests/test_cached_at_once.py"),
    *("tests/test_sample_deployments.py", "tests/test_readme.py", "tests/test_journey.py", "tests/test_wscat.py"),
    *("tests/test_javascript_client.py", "tests/monitoring/test_running.py", "tests/docker/test_container_health.py"),
)
BROWSER = "browser"
# What takes minutes and is begun last is waited for by all other processes. pytest-xdist itself begins with those that
# have the most tests.
BEGUN_FIRST = (BROWSER, "symptoms", "commands", "tests/test_alerts_arrive.py", "test_redis_failover.py", "platform")


class SharedPlatforms(LoadScopeScheduling):
    def _assign_work_unit(self, node: WorkerController) -> None:
        for scope in reversed(BEGUN_FIRST):
            if scope in self.workqueue:
                self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        folder, _, file = nodeid.partition("::")[0].rpartition("/")
        if file in WITH_PLATFORMS_OF_THEIR_OWN:
            return file
        if folder == "tests/browser_pages":
            return BROWSER
        if folder == "tests/faults":
            return "commands" if file in COMMANDS else "symptoms"
        path = f"{folder}/{file}"
        return "platform" if path in ON_THE_SESSIONS_PLATFORM else path
