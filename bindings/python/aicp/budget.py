"""Budgets: a ledger of reservations over accounts, shared by any number of processes.

    with Ledger("sqlite:///var/lib/aicp/ledger.db") as ledger:
        ledger.put("team:blue", limit_nano=parse_money("100"), duration="1mo", soft_percent=(80,))
        held = ledger.reserve("call-1", ["team:blue"], 40_000, timeout=1.0)
        ledger.mark_dispatched("call-1")
        ledger.settle("call-1", 12_500)

Money is in nano-dollars; times of windows are nanoseconds since 1970.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from . import _aicp as _c
from ._handle import Handle, given
from .errors import NotFoundError

_ALIGN = {"calendar": _c.AICP_BUDGET_ALIGN_CALENDAR, "anchor": _c.AICP_BUDGET_ALIGN_ANCHOR}
_MODES = {"hold": _c.AICP_LEDGER_HOLD, "sync": _c.AICP_LEDGER_SYNC}
_UNKNOWN = {
    "default": _c.AICP_BUDGET_UNKNOWN_DEFAULT,
    "deny": _c.AICP_BUDGET_UNKNOWN_DENY,
    "allow": _c.AICP_BUDGET_UNKNOWN_ALLOW,
}

UNLIMITED: int = _c.AICP_LEDGER_UNLIMITED


def _ns(seconds: Optional[float]) -> Optional[int]:
    return None if seconds is None else int(seconds * 1e9)


def _deadline(timeout: float) -> int:
    return time.monotonic_ns() + int(timeout * 1e9) if timeout > 0 else 0


class BudgetWindow(Handle):
    """A rule that says when a budget resets: "1mo", "24h", "weekly", "never" … Immutable."""

    __slots__ = ()

    def __init__(
        self,
        duration: str = "never",
        *,
        timezone: Optional[str] = None,
        reset_time: Optional[str] = None,
        anchor_ns: Optional[int] = None,
        align: str = "calendar",
    ) -> None:
        options = given(
            timezone=timezone, reset_time=reset_time, anchor_ns=anchor_ns, align=_ALIGN[align]
        )
        self._h = _c.aicp_budget_window_parse(duration, options)

    def at(self, wall_ns: int) -> Tuple[int, int]:
        """Start and end of the window that holds a moment; the end is not part of it."""
        start, end = _c.aicp_budget_window_at(self._h, wall_ns)
        return start, end


class AccountStatus(NamedTuple):
    """State of an account in its open window."""

    limit_nano: int
    spent_nano: int
    reserved_nano: int
    held_nano: int
    remaining_nano: int
    window_start_ns: int
    window_end_ns: int
    window: int
    frozen: bool
    stale: bool


@dataclass(frozen=True)
class Reservation:
    """The answer to a reservation. The figures are those of ``account``: the one that refused, or
    the tightest."""

    admitted: bool
    replayed: bool
    account: str
    degraded: bool
    limit_nano: int
    remaining_nano: int
    reset_at_ns: int
    window: int
    reserved_at_ns: int

    def __bool__(self) -> bool:
        return self.admitted


class AccountRow(NamedTuple):
    """An account in a list, as the store has it."""

    id: str
    limit_nano: int
    spent_nano: int
    held_nano: int
    remaining_nano: int
    window_start_ns: int
    window_end_ns: int
    window: int
    frozen: bool


class ReservationRow(NamedTuple):
    """A reservation in flight, as the store has it."""

    id: str
    amount_nano: int
    estimate_nano: int
    reserved_at_ns: int
    deadline_ns: int
    window: int
    dispatched: bool


class SoftLimitEvent(NamedTuple):
    """A soft threshold that was passed. ``threshold_percent`` is 0 when it is an amount."""

    window: int
    window_end_ns: int
    threshold_nano: int
    threshold_percent: int
    spent_nano: int
    limit_nano: int
    account: str


class Ledger(Handle):
    """A node of the shared ledger. Thread-safe; open one per process."""

    __slots__ = ()

    def __init__(
        self,
        url: str,
        *,
        node: Optional[str] = None,
        mode: str = "hold",
        background: bool = False,
        default_ttl: Optional[float] = None,
        hold_ttl: Optional[float] = None,
        flush_after: Optional[float] = None,
        refresh_after: Optional[float] = None,
        idle_after: Optional[float] = None,
        batch: Optional[int] = None,
        unsent_max: Optional[int] = None,
        remember: Optional[int] = None,
        slice_divisor: Optional[int] = None,
        journal: Optional[str] = None,
        keep: Optional[float] = None,
        service_key: Optional[str] = None,
    ) -> None:
        options = given(
            node=node,
            mode=_MODES[mode],
            background=int(background),
            default_ttl_ns=_ns(default_ttl),
            hold_ttl_ns=_ns(hold_ttl),
            flush_ns=_ns(flush_after),
            refresh_ns=_ns(refresh_after),
            idle_ns=_ns(idle_after),
            batch=batch,
            unsent_max=unsent_max,
            remember=remember,
            slice_divisor=slice_divisor,
            journal_path=journal,
            keep_ns=_ns(keep),
            service_key=service_key,
        )
        self._h = _c.aicp_ledger_open(url, options)

    def put(
        self,
        account: str,
        *,
        limit_nano: int = UNLIMITED,
        duration: Optional[str] = None,
        timezone: Optional[str] = None,
        reset_time: Optional[str] = None,
        anchor_ns: Optional[int] = None,
        align: str = "calendar",
        on_unknown_price: str = "default",
        temp_increase_nano: Optional[int] = None,
        temp_until_ns: Optional[int] = None,
        rollover_max_nano: Optional[int] = None,
        soft_percent: Sequence[int] = (),
        soft_nano: Sequence[int] = (),
        frozen: bool = False,
        timeout: float = 5.0,
    ) -> None:
        """Makes an account be as described."""
        wanted = given(
            limit_nano=limit_nano,
            duration=duration,
            timezone=timezone,
            reset_time=reset_time,
            anchor_ns=anchor_ns,
            align=_ALIGN[align],
            on_unknown_price=_UNKNOWN[on_unknown_price],
            temp_increase_nano=temp_increase_nano,
            temp_until_ns=temp_until_ns,
            rollover_max_nano=rollover_max_nano,
            soft_percent=tuple(soft_percent),
            soft_nano=tuple(soft_nano),
            frozen=int(frozen),
        )
        _c.aicp_ledger_account_put(self._h, account, wanted, _deadline(timeout))

    def status(self, account: str, *, timeout: float = 5.0) -> AccountStatus:
        """Reads an account from the store; with timeout 0 from memory."""
        fields = _c.aicp_ledger_account_status(self._h, account, _deadline(timeout))
        fields["frozen"] = bool(fields["frozen"])
        fields["stale"] = bool(fields["stale"])
        return AccountStatus(**fields)

    def accounts(
        self, prefix: str = "", *, after: str = "", limit: int = 100, timeout: float = 5.0
    ) -> List[AccountRow]:
        """A page of accounts by id; ``after`` is the last id of the page before."""
        query = given(prefix=prefix, after=after, limit=limit, deadline_ns=_deadline(timeout))
        page = _c.aicp_ledger_account_list(self._h, query)
        found = []
        for index in range(_c.aicp_ledger_page_count(page)):
            row = _c.aicp_ledger_page_account(page, index)
            row["frozen"] = bool(row["frozen"])
            found.append(AccountRow(**row))
        return found

    def in_flight(
        self, account: str, *, after: str = "", limit: int = 100, timeout: float = 5.0
    ) -> List[ReservationRow]:
        """A page of the pending reservations of an account that the store knows."""
        query = given(after=after, limit=limit, deadline_ns=_deadline(timeout))
        page = _c.aicp_ledger_reservation_list(self._h, account, query)
        found = []
        for index in range(_c.aicp_ledger_page_count(page)):
            row = _c.aicp_ledger_page_reservation(page, index)
            row["dispatched"] = bool(row["dispatched"])
            found.append(ReservationRow(**row))
        return found

    def spend_since(self, account: str, since_ns: int) -> int:
        """What was booked on an account since a moment, by full minutes."""
        nano: int = _c.aicp_ledger_account_spend(self._h, account, since_ns)
        return nano

    def reserve(
        self,
        id: str,
        accounts: Sequence[str],
        amount_nano: int,
        *,
        ttl: float = 0.0,
        timeout: float = 0.0,
        unknown_price: bool = False,
    ) -> Reservation:
        """Reserves an amount on several accounts, all or none. With timeout 0 it never waits, and
        raises :class:`aicp.WouldBlockError` where it would have to."""
        names = tuple(accounts)
        request = {
            "id": id,
            "accounts": names,
            "amount_nano": amount_nano,
            "ttl_ns": int(ttl * 1e9),
            "deadline_ns": _deadline(timeout),
            "unknown_price": int(unknown_price),
        }
        _, fields = _c.aicp_ledger_reserve(self._h, request)
        index = fields["account"]
        fields["account"] = names[index] if index < len(names) else ""
        for name in ("admitted", "replayed", "degraded"):
            fields[name] = bool(fields[name])
        return Reservation(**fields)

    def serve(self, body: bytes) -> bytes:
        """Does what a ledger opened with an http(s) URL asks for; gives the part "ledger" of the
        answer, as JSON."""
        answer: bytes = _c.aicp_ledger_serve(self._h, body)
        return answer

    def mark_dispatched(self, id: str, estimate_nano: int = -1) -> None:
        """Notes that the request went out: its reservation no longer goes back by itself."""
        _c.aicp_ledger_mark_dispatched(self._h, id, estimate_nano)

    def renew(self, id: str, ttl: float = 0.0) -> None:
        """Moves the deadline of a reservation."""
        _c.aicp_ledger_renew(self._h, id, int(ttl * 1e9))

    def settle(
        self,
        id: str,
        actual_nano: int,
        *,
        accounts: Optional[Sequence[str]] = None,
        reserved_at_ns: int = 0,
        timeout: float = 0.0,
    ) -> None:
        """Posts what a reservation really cost. ``accounts`` lets it be booked by a process that
        does not know the id."""
        how = given(
            accounts=tuple(accounts) if accounts is not None else None,
            reserved_at_ns=reserved_at_ns,
            deadline_ns=_deadline(timeout),
        )
        _c.aicp_ledger_settle(self._h, id, actual_nano, how)

    def release(self, id: str) -> None:
        """Gives a reservation back; only for requests that never went out."""
        _c.aicp_ledger_release(self._h, id)

    def adjust(
        self, account: str, id: str, amount_nano: int, reason: str, *, at_ns: int = 0,
        timeout: float = 5.0,
    ) -> None:
        """Corrects what is spent, with a reason for the audit."""
        what = {
            "id": id,
            "reason": reason,
            "amount_nano": amount_nano,
            "at_ns": at_ns,
            "deadline_ns": _deadline(timeout),
        }
        _c.aicp_ledger_adjust(self._h, account, what)

    def flush(self, *, timeout: float = 5.0) -> None:
        """Sends everything unsent and does the housekeeping once."""
        _c.aicp_ledger_flush(self._h, _deadline(timeout))

    def give_back(self, *, timeout: float = 5.0) -> None:
        """Sends everything and gives all holds back, as before the end; the ledger stays usable."""
        _c.aicp_ledger_close(self._h, _deadline(timeout))

    def events(self) -> List[SoftLimitEvent]:
        """Takes the soft thresholds that this process saw passed."""
        found: List[SoftLimitEvent] = []
        while True:
            try:
                found.append(SoftLimitEvent(**_c.aicp_ledger_event_next(self._h)))
            except NotFoundError:
                return found

    def metrics(self) -> Dict[str, int]:
        """Counters since the ledger was opened in this process."""
        fields: Dict[str, Any] = _c.aicp_ledger_metrics_get(self._h)
        return fields
