"""What can be wrong with alerts, their channels and their deliveries."""

from nautilus.api.errors import ConflictError, DomainError, NotFoundError


class TargetError(DomainError):
    """What a channel names cannot be written to: no address, no URL, or one that the platform must not reach."""

    code = "invalid_target"

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(detail, remedy, "target")


class SecretError(DomainError):
    code = "invalid_secret"


class NotDeliveredError(DomainError):
    """The far side did not take a message. `permanent`: to say it again would not help."""

    code = "not_delivered"
    status = 502

    def __init__(
        self, detail: str, remedy: str = "", *, permanent: bool = False, retry_after_seconds: float = 0.0
    ) -> None:
        super().__init__(detail, remedy)
        self.permanent = permanent
        self.retry_after_seconds = retry_after_seconds


class EventNotFoundError(NotFoundError):
    def __init__(self, event_id: object) -> None:
        super().__init__(
            f"There is no risk event '{event_id}' that you may see.",
            "GET /api/v1/sprint3/risk/alerts/{portfolio_id} lists those of a portfolio.",
        )


class ChannelNotFoundError(NotFoundError):
    def __init__(self, channel_id: object, portfolio_id: str) -> None:
        super().__init__(
            f"{portfolio_id} has no alert channel '{channel_id}'.",
            f"GET /api/v1/sprint3/risk/alerts/{portfolio_id} lists its channels.",
        )


class DeliveryNotFoundError(NotFoundError):
    def __init__(self, delivery_id: object) -> None:
        super().__init__(
            f"There is no delivery '{delivery_id}' that you may see.",
            "GET /api/v1/sprint3/risk/alerts/deliveries lists them.",
        )


class NotDeadError(ConflictError):
    code = "delivery_not_dead"


class ChannelGoneError(ConflictError):
    code = "channel_deleted"
