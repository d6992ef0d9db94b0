"""One exception type per kind of cause. Each message says what was wrong, where, and what to do.

A command prints that one line and exits 2; any other exception is a bug of ours and keeps its traceback.
"""


class TollgateError(Exception):
    """A condition that a person can mend."""

    def __init__(self, what: str, *, where: object = None, remedy: str | None = None):
        self.what, self.where, self.remedy = what, where, remedy
        place = f" ({where})" if where is not None else ""
        advice = f" - {remedy}" if remedy else ""
        super().__init__(f"{what}{place}{advice}")


class SettingsError(TollgateError):
    """A setting is missing or contradicts another."""


class SourceError(TollgateError):
    """A source as a whole cannot be read, or is no longer what it was."""


class LakeMismatch(TollgateError):
    """The lake holds something else than what the caller wants to put into it."""


class LakeBusy(TollgateError):
    """Another process is doing this very work on this lake."""


class CardNumberFound(TollgateError):
    """A card number stands where none may be."""
