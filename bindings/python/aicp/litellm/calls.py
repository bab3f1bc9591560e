"""The calls under way in this process, from the check to the settlement."""

from __future__ import annotations

import logging
import time
import uuid
from collections import OrderedDict
from typing import Any, Dict, Mapping, Optional

from ..cost import Usage, format_money
from ..errors import AicpError, UnknownPriceError
from . import answers
from .identity import metadata_of

log = logging.getLogger("aicp.litellm")

TOKEN = "aicp_call"  # name in LiteLLM's metadata under which a call is found again
_ENDED_KEPT = 256
_LIFE_SECONDS = 3600.0


class Call:
    """One call. ``decision`` is None when the gate could not decide and the mode is open."""

    def __init__(self, decision: Any, fail_open: str = "") -> None:
        self.token = uuid.uuid4().hex
        self.decision = decision
        self.fail_open = fail_open
        self.started = time.monotonic()
        self.settled = False
        self.answered = False  # the model has answered: whatever comes, it must be paid
        self.usage: Optional[Usage] = None
        self.written = ""  # what a stream has brought so far, when no usage is known
        self.cost_nano: Optional[int] = None
        self.candidates: Dict[str, bool] = {}
        self.headers = self._headers()

    def _headers(self) -> Dict[str, str]:
        d = self.decision
        if d is None:
            return {"x-aicp-fail-mode": "open", "x-aicp-error": self.fail_open}
        headers = dict(d.headers)
        headers["x-aicp-decision-id"] = d.id
        headers["x-aicp-gate-us"] = f"{d.total_ns / 1000:.1f}"
        if d.cost_expected_nano is not None:
            headers["x-aicp-cost-estimate"] = format_money(d.cost_expected_nano)
        if d.max_tokens is not None:
            headers["x-aicp-max-tokens"] = str(d.max_tokens)
        if d.finding_count:
            headers["x-aicp-findings"] = str(d.finding_count)
        return {name: _clean(value) for name, value in headers.items() if value}

    def best_usage(self) -> Usage:
        """The usage that was reported, or else the input as counted and the output so far."""
        if self.usage is not None:
            return self.usage
        output = answers.count(self.decision.model, self.written) if self.written else 0
        return {"prompt_tokens": self.decision.input_tokens, "completion_tokens": output}


def _clean(value: str) -> str:
    """A header value that no proxy trips over."""
    return "".join(c if " " <= c <= "~" else "?" for c in value)


class Calls:
    """Finds calls by the token in LiteLLM's metadata; keeps some that ended, for late hooks."""

    def __init__(self) -> None:
        self._open: "OrderedDict[str, Call]" = OrderedDict()
        self._ended: "OrderedDict[str, Call]" = OrderedDict()
        self.counters = {"settled": 0, "released": 0, "settle_errors": 0, "forgotten": 0}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, call: Call, data: Dict[str, Any]) -> None:
        """Remembers a call; its token goes along in the request's metadata."""
        name = "litellm_metadata" if "litellm_metadata" in data else "metadata"
        if not isinstance(data.get(name), dict):
            data[name] = {}
        data[name][TOKEN] = call.token
        self._open[call.token] = call
        self._forget_old()

    def find(self, data: Optional[Mapping[str, Any]]) -> Optional[Call]:
        """The call of a request, or None."""
        token = metadata_of(data or {}).get(TOKEN)
        return self._by_token(token)

    def find_logged(self, kwargs: Mapping[str, Any]) -> Optional[Call]:
        """The call of a logging event."""
        params = kwargs.get("litellm_params")
        for source in (params, kwargs):
            if isinstance(source, Mapping):
                for name in ("litellm_metadata", "metadata"):
                    meta = source.get(name)
                    found = self._by_token(meta.get(TOKEN)) if isinstance(meta, Mapping) else None
                    if found is not None:
                        return found
        return None

    def _by_token(self, token: Any) -> Optional[Call]:
        if not isinstance(token, str):
            return None
        return self._open.get(token) or self._ended.get(token)

    def _forget_old(self) -> None:
        """Calls whose end nobody told: their reservations go back, or expire in the store."""
        oldest = time.monotonic() - _LIFE_SECONDS
        while self._open:
            call = next(iter(self._open.values()))
            if call.started > oldest:
                return
            log.warning("call %s was never ended by the proxy", call.token)
            self.counters["forgotten"] += 1
            if call.answered:
                self.settle(call)
            else:
                self.release(call)

    def _end(self, call: Call) -> bool:
        if call.settled:
            return False
        call.settled = True
        self._open.pop(call.token, None)
        self._ended[call.token] = call
        while len(self._ended) > _ENDED_KEPT:
            self._ended.popitem(last=False)
        return call.decision is not None

    def settle(self, call: Call, cost_nano: Optional[int] = None) -> None:
        """Books what the call cost: the cost given, else its usage by the gate's own prices."""
        if not self._end(call):
            return
        try:
            usage = call.best_usage()
            try:
                call.cost_nano = call.decision.settle(usage, cost_nano)
            except UnknownPriceError as error:
                log.warning("call %s is booked as 0: %s", call.decision.id, error)
                call.cost_nano = call.decision.settle(usage, 0)
            self.counters["settled"] += 1
        except AicpError as error:
            self.counters["settle_errors"] += 1
            log.error("call %s could not be settled: %s", call.decision.id, error)

    def release(self, call: Call) -> None:
        """Gives back what was reserved: no model was reached."""
        if not self._end(call):
            return
        try:
            call.decision.release()
            self.counters["released"] += 1
        except AicpError as error:
            self.counters["settle_errors"] += 1
            log.error("call %s could not be released: %s", call.decision.id, error)

    def close(self) -> None:
        """Ends everything that is under way, as at the end of the process."""
        for call in list(self._open.values()):
            if call.answered:
                self.settle(call)
            else:
                self.release(call)
