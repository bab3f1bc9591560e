"""Exceptions. Every failure of the library is an :class:`AicpError`; its subclasses group the codes."""

from __future__ import annotations

from typing import Dict, Tuple, Type

from . import _aicp


class AicpError(Exception):
    """A call failed. ``code`` and ``name`` are for programs, ``message`` is for people.

    For text inputs ``line`` and ``column`` (from 1, columns in bytes) and ``offset`` (bytes from 0)
    say where; ``line`` 0 means that no place applies.
    """

    code: int = 0
    name: str = ""
    message: str = ""
    line: int = 0
    column: int = 0
    offset: int = 0

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        return f"{place}{self.message}"


class NoMemoryError(AicpError, MemoryError):
    """Memory ran out."""


class InvalidArgumentError(AicpError, ValueError):
    """An argument is not valid."""


class ParseError(AicpError, ValueError):
    """An input text is malformed."""


class RangeError(AicpError, ValueError):
    """A number is out of range."""


class LimitError(AicpError, ValueError):
    """A documented limit was passed."""


class NotFoundError(AicpError, LookupError):
    """Something named does not exist."""


class ExistsError(AicpError):
    """The name is taken."""


class StateError(AicpError):
    """Not possible in this state, for example after close."""


class InputOutputError(AicpError, OSError):
    """A file could not be read or written."""

    __str__ = AicpError.__str__


class DeadlineError(AicpError, TimeoutError):
    """Time ran out."""

    __str__ = AicpError.__str__


class WouldBlockError(AicpError):
    """The call would have to wait: repeat it where waiting is allowed, and say how long."""


class UnsupportedError(AicpError):
    """Not supported."""


class NetworkError(AicpError):
    """A server could not be reached, or answered with an error."""


class PolicyError(AicpError):
    """A policy could not be read or evaluated."""


class RateLimitedError(AicpError):
    """A rate limit was reached."""


class GuardrailError(AicpError):
    """A guardrail could not do its work."""


class UnknownModelError(AicpError, LookupError):
    """The price map does not have the model."""


class UnknownPriceError(AicpError, LookupError):
    """The price of something that was used is not known."""


class SpecialTokenError(AicpError, ValueError):
    """The text holds a special token where none is allowed."""


class StoreError(AicpError):
    """The store failed."""


class BudgetError(AicpError):
    """A reservation is not in the state that the call needs."""


class BudgetExceededError(BudgetError):
    """The budget does not allow the amount."""


class LiteLLMError(AicpError):
    """LiteLLM refused or failed."""


class BundleError(AicpError):
    """A bundle is not usable."""


class CorruptError(AicpError):
    """The object can no longer be used."""


_BY_NAME: Dict[str, Type[AicpError]] = {
    "ERR_NOMEM": NoMemoryError,
    "ERR_INVALID": InvalidArgumentError,
    "ERR_PARSE": ParseError,
    "ERR_RANGE": RangeError,
    "ERR_LIMIT": LimitError,
    "ERR_NOT_FOUND": NotFoundError,
    "ERR_EXISTS": ExistsError,
    "ERR_STATE": StateError,
    "ERR_IO": InputOutputError,
    "ERR_TIMEOUT": DeadlineError,
    "ERR_WOULD_BLOCK": WouldBlockError,
    "ERR_UNSUPPORTED": UnsupportedError,
    "ERR_UNKNOWN_MODEL": UnknownModelError,
    "ERR_UNKNOWN_PRICE": UnknownPriceError,
    "ERR_SPECIAL_TOKEN": SpecialTokenError,
    "ERR_BUDGET_EXCEEDED": BudgetExceededError,
    "ERR_RATE_LIMITED": RateLimitedError,
    "ERR_TOO_LARGE": RateLimitedError,
    "ERR_CORRUPT": CorruptError,
}
_BY_RANGE: Dict[int, Type[AicpError]] = {
    1: NetworkError,
    2: PolicyError,
    4: GuardrailError,
    6: StoreError,
    7: BudgetError,
    8: LiteLLMError,
    9: BundleError,
}


def make_error(code: int, name: str, message: str, place: Tuple[int, int, int]) -> AicpError:
    """Builds the exception for a status code."""
    kind = _BY_NAME.get(name) or _BY_RANGE.get(code // 100, AicpError)
    error = kind(message)
    error.code = code
    error.name = name
    error.message = message
    error.line, error.column, error.offset = place
    return error


def closed(what: str) -> AicpError:
    """The error of an object that is used after close()."""
    return make_error(_aicp.AICP_ERR_STATE, "ERR_STATE", f"this {what} is closed", (0, 0, 0))


_aicp.set_error_maker(make_error)
