"""What can be wrong with a strategy, a version or a deployment; one class a meaning."""

from nautilus.api.errors import ConflictError, DomainError, NotFoundError


class StrategyNotFoundError(NotFoundError):
    def __init__(self, strategy_id: object) -> None:
        super().__init__(
            f"There is no strategy '{strategy_id}'.", "GET /api/v1/sprint3/strategy/strategies lists them."
        )


class StrategyExistsError(ConflictError):
    code = "strategy_exists"


class VersionNotFoundError(NotFoundError):
    def __init__(self, strategy_id: str, version: object) -> None:
        super().__init__(
            f"{strategy_id} has no version {version}.",
            f"GET /api/v1/sprint3/strategy/versions/{strategy_id} lists them.",
        )


class ParentNeededError(ConflictError):
    """Only the first version has no parent."""

    code = "parent_version_needed"


class UnknownParentError(DomainError):
    code = "unknown_parent_version"


class NothingChangedError(DomainError):
    code = "nothing_changed"


class BadParametersError(DomainError):
    code = "parameters_invalid"


class BadCodeError(DomainError):
    """Text that could never be stored as code; whether it is a strategy, the pipeline says."""

    code = "code_invalid"


class MergeConflictError(ConflictError):
    """Both sides changed the same: the posted version is kept beside the main line, and waits."""

    code = "merge_conflict"

    def __init__(self, strategy_id: str, merge_request_id: int, detail: str) -> None:
        super().__init__(
            detail,
            f"It is kept: merge request {merge_request_id}. POST /api/v1/sprint3/strategy/versions/{strategy_id}"
            '/resolve with "latest" or "manual" ends it.',
        )
        self.merge_request_id = merge_request_id


class NoMergeRequestError(ConflictError):
    code = "no_open_merge_request"


class SeveralMergeRequestsError(ConflictError):
    code = "several_merge_requests"


class ResolutionIncompleteError(DomainError):
    code = "resolution_incomplete"


class HeadMovedError(ConflictError):
    code = "head_moved"


class HistoryBrokenError(ConflictError):
    """A version is not what its hash says."""

    code = "history_broken"


class RepositoryError(DomainError):
    code = "repository_invalid"


class BadStrategyIdError(DomainError):
    code = "strategy_id_invalid"


class BadMessageError(DomainError):
    code = "message_invalid"


class BadAuthorError(DomainError):
    """A name that could not be a Git author."""

    code = "author_invalid"


class BadResolutionError(DomainError):
    code = "conflict_resolution_invalid"


class DeploymentNotFoundError(NotFoundError):
    def __init__(self, deployment_id: object) -> None:
        super().__init__(
            f"There is no deployment '{deployment_id}' that you may see.",
            "GET /api/v1/sprint3/strategy/deployments lists yours.",
        )


class DeploymentUnderWayError(ConflictError):
    code = "deployment_under_way"


class DeploymentStateError(ConflictError):
    """What was asked does not fit the state that the deployment is in."""

    code = "deployment_state"


class OtherEnvironmentError(ConflictError):
    code = "other_environment"


class OwnDeploymentError(ConflictError):
    code = "own_deployment"


class NoBrokerError(ConflictError):
    code = "no_broker"


class UnknownSymbolsError(DomainError):
    code = "unknown_symbol"


class BadStartDateError(DomainError):
    code = "start_date_invalid"


class GateBrokenError(DomainError):
    """A figure is on the wrong side of its gate."""

    code = "gate_broken"


class NotDeterministicError(DomainError):
    code = "not_deterministic"


class RiskRefusedError(DomainError):
    """The book that the strategy asks for is against the portfolio's limits."""

    code = "limits_refuse"


class DeploymentEndedError(Exception):
    """Somebody ended the deployment while a step of it ran: nothing more is written."""
