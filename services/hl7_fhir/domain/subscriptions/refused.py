"""Why a subscription is not taken."""

from shared.errors import Unprocessable


class SubscriptionRefused(Unprocessable):
    """``code`` is of the value set issue-type, ``place`` the element; ``reason`` is fit to be shown."""

    def __init__(self, reason: str, code: str, place: str) -> None:
        super().__init__(reason)
        self.code = code
        self.place = place


class VersionConflict(Unprocessable):
    """The subscription has changed since the client read it (R4 section 3.1.0.5, If-Match)."""

    def __init__(self) -> None:
        super().__init__("version-conflict")
