"""Base of all objects that hold something of the library."""

from __future__ import annotations

from typing import Any, Dict, Optional, TypeVar

from .errors import closed

_Self = TypeVar("_Self", bound="Handle")


class Handle:
    """Holds a handle in ``_h``. After :meth:`close` every use raises :class:`aicp.StateError`."""

    __slots__ = ("_h", "__weakref__")
    _h: Any

    def close(self) -> None:
        """Gives the memory back now instead of when the last reference goes. May be repeated."""
        try:
            del self._h
        except AttributeError:
            pass

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name == "_h":
            raise closed(type(self).__name__)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __copy__(self) -> Any:
        raise TypeError(f"{type(self).__name__} cannot be copied")

    def __reduce__(self) -> Any:
        raise TypeError(f"{type(self).__name__} cannot be pickled")


def given(**options: Any) -> Optional[Dict[str, Any]]:
    """The options that are not None, or None when there are none."""
    found = {name: value for name, value in options.items() if value is not None}
    return found or None
