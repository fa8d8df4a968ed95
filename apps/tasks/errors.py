"""What can go wrong with a task, in the words that clients and the admin show."""

from nautilus.api.errors import ConflictError, DomainError, NotFoundError


class TaskNotFoundError(NotFoundError):
    def __init__(self, task_id: object) -> None:
        super().__init__(f"There is no task {task_id} that you may see.", "GET /api/v1/tasks lists yours.")


class TaskEndedError(ConflictError):
    code = "task_has_ended"


class TaskStillRunsError(ConflictError):
    code = "task_still_runs"


class TimeLimitError(DomainError):
    code = "time_limit_exceeded"


class WorkerLostError(DomainError):
    code = "worker_lost"


class OutOfMemoryError(DomainError):
    code = "out_of_memory"


class InternalError(DomainError):
    """A fault of ours: the log has the traceback under the task's id."""

    code = "internal_error"


class JobStoppedError(Exception):
    """The attempt has lost its task: it was cancelled, or another attempt has taken it over."""

    stops_one_caller = True  # others that wait for the same result (nautilus.cache) go on
