"""Guardrails: personal data, secrets and prompt injections in texts.

    profile = GuardProfile({"pii": {"action": "anonymize"}})
    with GuardSession() as session:
        found = profile.scan("mail bob@example.com", session=session)
        found.action, found.text            # 'anonymize', 'mail <EMAIL_ADDRESS_1>'
        session.restore("to <EMAIL_ADDRESS_1>")
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from . import _aicp as _c
from ._handle import Handle, given

Text = Union[str, bytes]

_DIRECTIONS = {"input": _c.AICP_GUARD_INPUT, "output": _c.AICP_GUARD_OUTPUT}
_SOURCES = {
    "user": _c.AICP_GUARD_USER,
    "tool": _c.AICP_GUARD_TOOL,
    "retrieved": _c.AICP_GUARD_RETRIEVED,
    "file": _c.AICP_GUARD_FILE,
    "system": _c.AICP_GUARD_SYSTEM,
}


@dataclass(frozen=True)
class Finding:
    """One thing found. ``start`` and ``end`` are in bytes, the ``char_`` ones in code points."""

    start: int
    end: int
    char_start: int
    char_end: int
    score: float
    action: str
    category: str
    validated: bool
    decoded: bool
    type: str
    rule: str
    preview: str
    hash: str


@dataclass(frozen=True)
class Scan:
    """Outcome of a scan. ``text`` is the rewritten text, None when nothing was rewritten."""

    action: str
    risk: float
    findings: List[Finding]
    matches: int
    text: Optional[str]
    reason: str
    error: str
    truncated: bool
    scanned_bytes: int
    scores: Dict[str, float]

    @property
    def blocked(self) -> bool:
        """True when the text must not be forwarded."""
        return self.action == "block"


@dataclass(frozen=True)
class Rule:
    """A rule of the engine."""

    id: str
    type: str
    description: str
    validation: str
    region: str
    category: str
    action: str
    score: float


def _names(entry: Mapping[str, Any]) -> Dict[str, Any]:
    named = dict(entry)
    named["action"] = _c.aicp_guard_action_name(entry["action"])
    named["category"] = _c.aicp_guard_category_name(entry["category"])
    return named


def rules() -> List[Rule]:
    """Everything that the engine can find."""
    entries = (_c.aicp_guard_rule_at(i) for i in range(_c.aicp_guard_rule_count()))
    return [Rule(**_names(entry)) for entry in entries]


def _finding(result: Any, index: int) -> Finding:
    entry = _names(_c.aicp_guard_result_finding(result, index))
    entry["validated"] = bool(entry["validated"])
    entry["decoded"] = bool(entry["decoded"])
    return Finding(**entry)


def _outcome(result: Any) -> Scan:
    text = _c.aicp_guard_result_text(result) if _c.aicp_guard_result_rewritten(result) else None
    status = _c.aicp_guard_result_error(result)
    categories = range(_c.AICP_GUARD_CATEGORY_COUNT)
    return Scan(
        _c.aicp_guard_action_name(_c.aicp_guard_result_action(result)),
        _c.aicp_guard_result_risk(result),
        [_finding(result, i) for i in range(_c.aicp_guard_result_finding_count(result))],
        _c.aicp_guard_result_match_count(result),
        text.decode("utf-8", "replace") if text is not None else None,
        _c.aicp_guard_result_reason(result),
        _c.aicp_status_name(status) if status else "",
        bool(_c.aicp_guard_result_truncated(result)),
        _c.aicp_guard_result_bytes(result),
        {_c.aicp_guard_category_name(n): _c.aicp_guard_result_score(result, n) for n in categories},
    )


class GuardSession(Handle):
    """The placeholders of one request, so that the answer can be restored. Thread-safe."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._h = _c.aicp_guard_session_new(None)

    def restore(self, text: Text) -> str:
        """Puts the values back where their placeholders stand."""
        with self._lock:
            return _c.aicp_guard_restore(self._h, text).decode("utf-8", "replace")

    def reset(self) -> None:
        """Forgets all values."""
        with self._lock:
            _c.aicp_guard_session_reset(self._h)

    def __len__(self) -> int:
        with self._lock:
            return _c.aicp_guard_session_count(self._h)

    @property
    def action(self) -> str:
        """Strictest action over all texts."""
        with self._lock:
            return _c.aicp_guard_action_name(_c.aicp_guard_session_action(self._h))

    @property
    def risk(self) -> float:
        """Combined risk of all texts, 0 to 1."""
        with self._lock:
            return _c.aicp_guard_session_risk(self._h)

    @property
    def matches(self) -> int:
        """Findings in all texts."""
        with self._lock:
            return _c.aicp_guard_session_match_count(self._h)


class GuardProfile(Handle):
    """Rules, thresholds and actions. Immutable; any thread may use it."""

    __slots__ = ("_free",)

    def __init__(
        self, profile: Union[Text, Mapping[str, Any]] = "{}", *, hash_key: Optional[bytes] = None
    ) -> None:
        text = profile if isinstance(profile, (str, bytes)) else json.dumps(dict(profile))
        self._free: List[Any] = []  # workspaces that no scan is using
        self._h = _c.aicp_guard_profile_parse(text, given(hash_key=hash_key))

    @property
    def name(self) -> str:
        """Name that the profile gives itself."""
        return _c.aicp_guard_profile_name(self._h)

    @property
    def version(self) -> int:
        """Version that the profile gives itself."""
        return _c.aicp_guard_profile_version(self._h)

    def scan(
        self,
        text: Text,
        *,
        direction: str = "input",
        source: str = "user",
        session: Optional[GuardSession] = None,
    ) -> Scan:
        """Scans a whole text."""
        how = {"direction": _DIRECTIONS[direction], "source": _SOURCES[source]}
        try:
            result = self._free.pop()
        except IndexError:
            result = _c.aicp_guard_result_new(None)
        try:
            if session is None:
                _c.aicp_guard_scan(self._h, text, how, result)
            else:
                with session._lock:
                    how["session"] = session._h
                    _c.aicp_guard_scan(self._h, text, how, result)
            return _outcome(result)
        finally:
            self._free.append(result)

    def stream(
        self,
        *,
        direction: str = "output",
        source: str = "user",
        session: Optional[GuardSession] = None,
    ) -> "GuardStream":
        """Begins a text that comes in pieces."""
        return GuardStream(self, direction, source, session)


class GuardStream(Handle):
    """A text scanned piece by piece. One thread at a time is let in."""

    __slots__ = ("_session", "_lock", "_how")

    def __init__(
        self,
        profile: GuardProfile,
        direction: str = "output",
        source: str = "user",
        session: Optional[GuardSession] = None,
    ) -> None:
        self._session = session
        self._lock = session._lock if session is not None else threading.Lock()
        self._how: Tuple[Any, ...] = (session._h,) if session is not None else ()
        how: Dict[str, Any] = {"direction": _DIRECTIONS[direction], "source": _SOURCES[source]}
        if session is not None:
            how["session"] = session._h
        self._h = _c.aicp_guard_stream_open(profile._h, how)

    def __del__(self) -> None:
        self.close()  # before the session whose values it uses

    def close(self) -> None:
        """Ends the stream; the session may be closed after it."""
        super().close()
        self._how = ()

    def feed(self, text: Text) -> str:
        """Adds a piece; returns what may go on."""
        with self._lock:
            _c.aicp_guard_stream_feed(self._h, text)
            return (_c.aicp_guard_stream_released(self._h) or b"").decode("utf-8", "replace")

    def finish(self) -> str:
        """Says that the text is complete; returns the rest."""
        with self._lock:
            _c.aicp_guard_stream_finish(self._h)
            return (_c.aicp_guard_stream_released(self._h) or b"").decode("utf-8", "replace")

    @property
    def outcome(self) -> Scan:
        """Outcome so far."""
        with self._lock:
            return _outcome(_c.aicp_guard_stream_result(self._h))
