"""The whole of the library in one call: may this request run, what will it cost, what must change?

    with Gate(bundle="/etc/aicp/bundle", store="sqlite:///var/lib/aicp/ledger.db") as gate:
        decision = gate.check(body, key=key_hash, team="blue", wait=1.0)
        if decision.allowed:
            answer = send(decision.body or body)
            decision.settle({"prompt_tokens": 12, "completion_tokens": 40})
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import threading
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple, Union

from . import _aicp as _c
from ._handle import Handle, given
from .cost import PriceTable
from .policy import Entities, Request

Text = Union[str, bytes]
Path = Union[str, "os.PathLike[str]"]

def _names(name_of: Callable[[int], Optional[str]]) -> Dict[str, int]:
    """Names of numbers from 0 on, until one has none."""
    names = itertools.takewhile(lambda name: name is not None, map(name_of, itertools.count()))
    return {str(name): number for number, name in enumerate(names)}


ACTIONS: Dict[str, int] = _names(_c.aicp_gate_action_name)
FIELDS: Dict[str, int] = _names(_c.aicp_gate_field_name)
_STEPS = [_c.aicp_gate_step_name(i) for i in range(_c.AICP_GATE_STEP_COUNT)]


def question(
    text: Text,
    entities: Optional[Entities] = None,
    prices: Optional[PriceTable] = None,
) -> Request:
    """What a gate would ask its policies, from the JSON of a decision event or the like::

        question('{"model": "gpt-5", "team": "red"}').authorize(policies).allowed

    ``entities`` and ``prices`` are those that the gate would have.
    """
    request = Request()
    _c.aicp_gate_question_parse(
        text,
        (entities or Entities("[]"))._h,
        (prices or PriceTable("{}"))._h,
        request._h,
    )
    return request


class Bundle(Handle):
    """A verified set of rules. Immutable; any thread may use it."""

    __slots__ = ()

    def __init__(self, path: Path) -> None:
        self._h = _c.aicp_bundle_open(os.fspath(path))

    @staticmethod
    def seal(path: Path, version: str) -> None:
        """Writes the manifest for the section files in a folder, after checking each."""
        _c.aicp_bundle_seal(os.fspath(path), version)

    @property
    def version(self) -> str:
        """Version text of the manifest."""
        return _c.aicp_bundle_version(self._h)

    def describe(self) -> Dict[str, Any]:
        """What the bundle holds."""
        return json.loads(_c.aicp_bundle_describe(self._h))


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def default_cache(url: str) -> str:
    """Folder in which this user's processes keep the rules of the server at ``url``."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "aicp", "bundle-" + hashlib.sha256(url.encode()).hexdigest()[:16])


class Gate(Handle):
    """The gate. Thread-safe; open one per process."""

    __slots__ = ("_requests",)

    def __init__(
        self,
        bundle: Optional[Union[Path, Bundle]] = None,
        *,
        store: Optional[str] = None,
        rates: Optional[str] = None,
        node: Optional[str] = None,
        events: Optional[Path] = None,
        background: bool = False,
        watch_ms: Optional[int] = None,
        service_key: Optional[str] = None,
        cache: Optional[Path] = None,
    ) -> None:
        """``bundle`` is a folder, the URL of a server of rules (``http://host:port``) or a
        :class:`Bundle`. Rules from a server are kept in the folder ``cache``, by default one of
        this user's for the URL, and ``service_key`` opens the server; then events go there too.
        ``events`` is a file or the URL of another server for them."""
        place = None if bundle is None or isinstance(bundle, Bundle) else os.fspath(bundle)
        remote = place is not None and _is_url(place)
        sink = os.fspath(events) if events is not None else None
        if remote and cache is None:
            cache = default_cache(str(place))
        options = given(
            bundle_path=None if remote else place,
            bundle_url=place if remote else None,
            service_key=service_key,
            cache_path=os.fspath(cache) if remote and cache is not None else None,
            store_url=store,
            rates_url=rates,
            node=node,
            events_path=None if sink is None or _is_url(sink) else sink,
            events_url=sink if sink is not None and _is_url(sink) else None,
            flags=_c.AICP_GATE_BACKGROUND if background else None,
            watch_ms=watch_ms,
        )
        self._requests: List[Any] = []  # builders that no check is using
        self._h = _c.aicp_gate_open(options)
        if isinstance(bundle, Bundle):
            self.load(bundle)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Closes the gate as soon as no decision uses it any more."""
        requests = getattr(self, "_requests", None)
        if requests:
            requests.clear()
        super().close()

    def load(self, bundle: Bundle) -> None:
        """Puts a bundle in force."""
        _c.aicp_gate_load(self._h, bundle._h)

    def reload(self) -> bool:
        """Looks at the bundle's folder; True when a new version came into force."""
        return bool(_c.aicp_gate_reload(self._h))

    def flush(self) -> None:
        """Does the background work once, waiting for the store."""
        _c.aicp_gate_flush(self._h)

    @property
    def bundle_version(self) -> str:
        """Version of the bundle in force."""
        return _c.aicp_gate_bundle_version(self._h).decode("utf-8", "replace")

    def metrics(self) -> Dict[str, Any]:
        """A snapshot of counters and states."""
        return json.loads(_c.aicp_gate_metrics(self._h))

    def events(self) -> List[Dict[str, Any]]:
        """Takes the events that wait."""
        lines = _c.aicp_gate_events(self._h).decode("utf-8", "replace").splitlines()
        return [json.loads(line) for line in lines if line]

    def check(
        self,
        body: Text,
        *,
        action: str = "chat",
        key: str = "",
        key_alias: str = "",
        user: str = "",
        team: str = "",
        org: str = "",
        end_user: str = "",
        role: str = "",
        ip: str = "",
        source: str = "",
        call_id: str = "",
        tags: Iterable[str] = (),
        wait: float = 0.0,
    ) -> "Decision":
        """Decides. ``wait`` is how many seconds the call may wait for the store.

        A refusal is a decision with ``allowed`` False, not an exception. With 0 the call
        raises :class:`aicp.WouldBlockError` when it would have to wait; nothing was taken then.
        """
        gate = self._h
        try:
            request = self._requests.pop()
        except IndexError:
            request = _c.aicp_gate_request_new(gate)
        try:
            _c.aicp_gate_request_reset(request)
            _c.aicp_gate_request_set_body(request, body)
            _c.aicp_gate_request_set_action(request, ACTIONS[action])
            fields = (key, key_alias, user, team, org, end_user, role, ip, source, call_id)
            for field, value in enumerate(fields):
                if value:
                    _c.aicp_gate_request_set(request, field, value)
            for tag in tags:
                _c.aicp_gate_request_add_tag(request, tag)
            made = _c.aicp_gate_check(gate, request, int(wait * 1e9))
        finally:
            self._requests.append(request)
        return Decision(gate, made)


class Output(NamedTuple):
    """What to do with an answer: ``data`` is its new form, None when it stays as it is."""

    allowed: bool
    data: Optional[bytes]


class Decision(Handle):
    """The answer of the gate, from check to settle. Released when it is dropped unsettled.

    The attributes are read once, and again when an answer is refused.
    """

    __slots__ = (
        "_gate",
        "_lock",
        "allowed",
        "http_status",
        "id",
        "step",
        "rule",
        "type",
        "message",
        "advice",
        "headers",
        "body",
        "model",
        "max_tokens",
        "input_tokens",
        "cost_expected_nano",
        "reserved_nano",
        "finding_count",
        "risk",
        "total_ns",
    )
    allowed: bool
    http_status: int
    id: str
    step: str
    rule: str
    type: str
    message: str
    advice: str
    headers: Dict[str, str]
    body: Optional[bytes]
    model: str
    max_tokens: Optional[int]
    input_tokens: int
    cost_expected_nano: Optional[int]
    reserved_nano: int
    finding_count: int
    risk: float
    total_ns: int

    def __init__(self, gate: Any, made: Any) -> None:
        self._gate = gate
        self._lock = threading.Lock()
        self._h = made
        self._read()

    def __del__(self) -> None:
        self.close()  # before the gate it belongs to

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Releases what was not settled."""
        super().close()
        self._gate = None

    def _read(self) -> None:
        h = self._h
        self.allowed = _c.aicp_gate_decision_verdict(h) == _c.AICP_GATE_ALLOW
        self.http_status = _c.aicp_gate_decision_http_status(h)
        self.id = _c.aicp_gate_decision_id(h)
        self.step = _c.aicp_gate_decision_step(h)
        self.rule = _c.aicp_gate_decision_rule(h)
        self.type = _c.aicp_gate_decision_type(h)
        self.message = _c.aicp_gate_decision_message(h)
        self.advice = _c.aicp_gate_decision_advice(h)
        self.headers = {
            _c.aicp_gate_decision_header_name(h, i): _c.aicp_gate_decision_header_value(h, i)
            for i in range(_c.aicp_gate_decision_header_count(h))
        }
        changed = _c.aicp_gate_decision_body_changed(h)
        self.body = _c.aicp_gate_decision_body(h) if changed else None
        self.model = _c.aicp_gate_decision_model(h)
        cap = _c.aicp_gate_decision_max_tokens(h)
        self.max_tokens = cap if cap >= 0 else None
        self.input_tokens = _c.aicp_gate_decision_input_tokens(h)
        cost = _c.aicp_gate_decision_cost_expected_nano(h)
        self.cost_expected_nano = cost if cost >= 0 else None
        self.reserved_nano = _c.aicp_gate_decision_reserved_nano(h)
        self.finding_count = _c.aicp_gate_decision_finding_count(h)
        self.risk = _c.aicp_gate_decision_risk(h)
        self.total_ns = _c.aicp_gate_decision_step_ns(h, _c.AICP_GATE_STEP_COUNT)

    def timings(self) -> Dict[str, int]:
        """Nanoseconds spent in each step."""
        with self._lock:
            h = self._h
            return {name: _c.aicp_gate_decision_step_ns(h, i) for i, name in enumerate(_STEPS)}

    def to_dict(self) -> Dict[str, Any]:
        """The whole decision, in the form of ``aicp gate check``."""
        with self._lock:
            return json.loads(_c.aicp_gate_decision_json(self._h))

    def candidate(self, model: str, *, wait: float = 0.0) -> bool:
        """May this request go to another model? Policy is asked again, the reservation raised."""
        with self._lock:
            return bool(
                _c.aicp_gate_candidate(self._gate, self._h, model, int(wait * 1e9))
            )

    def output(self, answer: Text) -> Output:
        """Scans the JSON body of the model's answer and puts back what was anonymised."""
        with self._lock:
            data, verdict = _c.aicp_gate_output(self._gate, self._h, answer)
            return self._judge(data, verdict)

    def output_text(self, text: Text) -> Output:
        """The same for one plain text of the answer."""
        with self._lock:
            data, verdict = _c.aicp_gate_output_text(self._gate, self._h, text)
            return self._judge(data, verdict)

    def _judge(self, data: bytes, verdict: int) -> Output:
        allowed = verdict == _c.AICP_GATE_ALLOW
        if not allowed:
            self._read()
        return Output(allowed, (data or None) if allowed else None)

    def stream(self) -> "OutputStream":
        """A scanner for one text of a streamed answer; open one per choice."""
        return OutputStream(self)

    def served_by(self, model: str) -> None:
        """Tells which model really answered, before settle."""
        with self._lock:
            _c.aicp_gate_decision_served_by(self._h, model)

    def renew(self) -> None:
        """Keeps slot and reservation of a long stream alive."""
        with self._lock:
            _c.aicp_gate_renew(self._gate, self._h)

    def settle(
        self, usage: Optional[Mapping[str, int]] = None, cost_nano: Optional[int] = None
    ) -> int:
        """Books what was really used, in nano-dollars, and gives the rest back.

        Without ``cost_nano`` the usage is priced. ``usage`` has the fields of ``aicp_usage``; see
        :func:`aicp.parse_usage` for those of a provider.
        """
        with self._lock:
            fields = dict(usage) if usage is not None else {}
            amount = -1 if cost_nano is None else cost_nano
            return _c.aicp_gate_settle(self._gate, self._h, fields, amount)

    def release(self) -> None:
        """Gives everything back: the model was never reached."""
        with self._lock:
            _c.aicp_gate_release(self._gate, self._h)


class OutputStream(Handle):
    """Scans and restores one text of a streamed answer."""

    __slots__ = ("_decision", "_parts", "_lock")

    def __init__(self, decision: Decision) -> None:
        self._decision = decision
        self._lock = decision._lock
        with decision._lock:
            self._parts: Tuple[Any, ...] = (decision._h, decision._gate)
            self._h = _c.aicp_gate_stream_open(decision._gate, decision._h)

    def __del__(self) -> None:
        self.close()  # before the decision it belongs to

    def close(self) -> None:
        """Ends the stream; the decision may be closed after it."""
        super().close()
        self._parts = ()

    def feed(self, text: Text, *, last: bool = False) -> Output:
        """Adds a piece; ``data`` of the result is what may go on by now. ``last`` ends the text."""
        with self._lock:
            data, verdict = _c.aicp_gate_stream_feed(self._h, text, int(last))
            allowed = verdict == _c.AICP_GATE_ALLOW
            if not allowed:
                self._decision._read()
            return Output(allowed, data)
