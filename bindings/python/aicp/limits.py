"""Rate limits: requests, tokens and parallel requests, all or nothing over a set of rules.

    rules = LimitRules('[{"id": "rpm", "kind": "requests", "limit": 5, "window": "1m", "per": ["team"]}]')
    limiter = Limiter()
    taken = limiter.take(rules, team="blue")
    taken.allowed, taken.retry_after
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from . import _aicp as _c
from ._handle import Handle, given

Text = Union[str, bytes]

_DIMENSIONS = {
    "org": _c.AICP_LIMIT_ORG,
    "team": _c.AICP_LIMIT_TEAM,
    "user": _c.AICP_LIMIT_USER,
    "key": _c.AICP_LIMIT_KEY,
    "model": _c.AICP_LIMIT_MODEL,
    "model_group": _c.AICP_LIMIT_MODEL_GROUP,
    "agent": _c.AICP_LIMIT_AGENT,
    "end_user": _c.AICP_LIMIT_END_USER,
    "tag": _c.AICP_LIMIT_TAG,
}
_KINDS = {
    _c.AICP_LIMIT_REQUESTS: "requests",
    _c.AICP_LIMIT_TOKENS: "tokens",
    _c.AICP_LIMIT_CONCURRENCY: "concurrency",
}
_ALGORITHMS = {
    _c.AICP_LIMIT_GCRA: "gcra",
    _c.AICP_LIMIT_FIXED_WINDOW: "fixed_window",
    _c.AICP_LIMIT_SLOTS: "slots",
}


class LimitRule(NamedTuple):
    """One rule. ``limit`` -1 is unlimited; ``window`` is in seconds."""

    id: str
    kind: str
    algorithm: str
    limit: int
    burst: int
    window: float
    shared: bool
    exact: bool
    name: str  # for people; the id where there is none


class LimitRules(Handle):
    """A parsed list of rules. Immutable; any thread may use it."""

    __slots__ = ()

    def __init__(
        self,
        rules: Union[Text, Sequence[Mapping[str, Any]]],
        *,
        max_rules: Optional[int] = None,
    ) -> None:
        text = rules if isinstance(rules, (str, bytes)) else json.dumps(rules)
        self._h = _c.aicp_limit_rules_parse(text, given(max_rules=max_rules))

    def __len__(self) -> int:
        return _c.aicp_limit_rules_count(self._h)

    def __getitem__(self, index: int) -> LimitRule:
        if not 0 <= index < len(self):
            raise IndexError(index)
        info = _c.aicp_limit_rules_get(self._h, index)
        return LimitRule(
            _c.aicp_limit_rules_id(self._h, index),
            _KINDS[info["kind"]],
            _ALGORITHMS[info["algorithm"]],
            info["limit"],
            info["burst"],
            info["window_ns"] / 1e9,
            bool(info["shared"]),
            bool(info["exact"]),
            _c.aicp_limit_rules_name(self._h, index),
        )


class LimitState(NamedTuple):
    """What is left of one rule for one subject; ``reset_after`` is in seconds."""

    rule: str
    kind: str
    limit: int
    remaining: int
    reset_after: float


@dataclass(frozen=True)
class Taken:
    """The decision, with the numbers of the tightest rule (``rule`` None: no rule applies).

    ``retry_after`` is in seconds, 0 when allowed, None when waiting does not help. ``headers`` are
    those for the answer. Hand the object to :meth:`Limiter.settle` or :meth:`Limiter.cancel`.
    """

    allowed: bool
    rule: Optional[str]
    kind: Optional[str]
    limit: int
    remaining: int
    reset_after: float
    retry_after: Optional[float]
    too_large: bool
    degraded: bool
    estimated: bool
    overflow: bool
    headers: Dict[str, str]
    _ticket: Any
    _lock: Any

    def __bool__(self) -> bool:
        return self.allowed


class Limiter(Handle):
    """State of all keys of a process. Thread-safe."""

    __slots__ = ()

    def __init__(
        self,
        *,
        slot_ttl: Optional[float] = None,
        shards: Optional[int] = None,
        max_keys: Optional[int] = None,
    ) -> None:
        ttl = int(slot_ttl * 1e9) if slot_ttl is not None else None
        self._h = _c.aicp_limiter_new(given(slot_ttl_ns=ttl, shards=shards, max_keys=max_keys))

    def take(
        self,
        rules: LimitRules,
        *,
        tokens: int = 0,
        now_ns: int = 0,
        deadline_ns: int = 0,
        slot_ttl: float = 0.0,
        estimated: bool = False,
        **subject: Union[str, Sequence[str]],
    ) -> Taken:
        """Charges every rule that applies, or none. ``subject`` names dimensions: team="blue"."""
        asked = _request(subject, tokens, now_ns, deadline_ns, slot_ttl, estimated)
        ticket = _c.aicp_limit_ticket()
        status, result = _c.aicp_limiter_take(self._h, rules._h, asked, ticket)
        headers = _c.aicp_limit_headers_format(rules._h, result)
        never = result["retry_after_ns"] == _c.AICP_LIMIT_NEVER
        known = result["rule"] >= 0
        return Taken(
            bool(result["allowed"]),
            _c.aicp_limit_rules_id(rules._h, result["rule"]) if known else None,
            _KINDS[result["kind"]] if known else None,
            result["limit"],
            result["remaining"],
            result["reset_ns"] / 1e9,
            None if never else result["retry_after_ns"] / 1e9,
            status == _c.AICP_ERR_TOO_LARGE,
            bool(result["degraded"]),
            bool(result["estimated"]),
            bool(result["overflow"]),
            {_HEADERS[name]: value for name, value in headers.items() if value},
            ticket,
            threading.Lock(),
        )

    def peek(
        self, rules: LimitRules, *, tokens: int = 0, now_ns: int = 0, **subject: Any
    ) -> List[LimitState]:
        """What is left of each rule that a take would charge."""
        asked = _request(subject, tokens, now_ns, 0, 0.0, False)
        return [
            LimitState(
                _c.aicp_limit_rules_id(rules._h, state["rule"]),
                _KINDS[state["kind"]],
                state["limit"],
                state["remaining"],
                state["reset_ns"] / 1e9,
            )
            for state in _c.aicp_limiter_peek(self._h, rules._h, asked)
        ]

    def settle(self, taken: Taken, tokens: int, *, now_ns: int = 0) -> None:
        """Ends a take with the tokens that were really used."""
        with taken._lock:
            _c.aicp_limiter_settle(self._h, taken._ticket, tokens, now_ns)

    def cancel(self, taken: Taken, *, now_ns: int = 0) -> None:
        """Ends a take and gives everything back."""
        with taken._lock:
            _c.aicp_limiter_cancel(self._h, taken._ticket, now_ns)

    def refund(self, taken: Taken, *, now_ns: int = 0) -> None:
        """Ends a take, gives back tokens and slots but keeps the request charges."""
        with taken._lock:
            _c.aicp_limiter_refund(self._h, taken._ticket, now_ns)

    def renew(self, taken: Taken, *, ttl: float = 0.0, now_ns: int = 0) -> None:
        """Prolongs the slots of a running request."""
        with taken._lock:
            _c.aicp_limiter_renew(self._h, taken._ticket, int(ttl * 1e9), now_ns)

    def flush(self, *, all: bool = False, timeout: float = 1.0) -> None:
        """Tells the shared store what it does not know yet; gives slices back when ``all``."""
        _c.aicp_limiter_flush(self._h, int(all), int(timeout * 1e9))

    def stats(self) -> Dict[str, int]:
        """Counters since the start."""
        return _c.aicp_limiter_stats_get(self._h)


_HEADERS = {
    "retry_after": "Retry-After",
    "ratelimit_policy": "RateLimit-Policy",
    "ratelimit": "RateLimit",
}


def _request(
    subject: Mapping[str, Union[str, Sequence[str]]],
    tokens: int,
    now_ns: int,
    deadline_ns: int,
    slot_ttl: float,
    estimated: bool,
) -> Tuple[Any, ...]:
    values: List[Tuple[int, str]] = []
    for name, value in subject.items():
        if name not in _DIMENSIONS:
            raise TypeError(f"unknown dimension {name!r}")
        for item in [value] if isinstance(value, str) else value:
            values.append((_DIMENSIONS[name], item))
    flags = _c.AICP_LIMIT_ESTIMATED if estimated else 0
    return (tuple(values), tokens, now_ns, deadline_ns, int(slot_ttl * 1e9), flags)


class RateStore(Handle):
    """The shared limits of a server that grants slices to gates which reach the store only through
    it. Thread-safe.

    The URL is ``sqlite:///absolute/path`` or ``postgresql://…``, as for a gate's store.
    """

    __slots__ = ()

    def __init__(self, url: str) -> None:
        self._h = _c.aicp_rate_store_open(url)

    def serve(self, message: Text) -> Optional[bytes]:
        """Answers the part ``rates`` of a message of leases, the whole body as the gate sent it: a
        JSON array, None when the message has no such part."""
        return _c.aicp_rate_store_serve(self._h, message) or None
