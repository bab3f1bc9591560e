"""Cedar policies: may this principal do this action on this resource?

    policies = PolicySet('permit(principal, action, resource == Model::"small");')
    answer = policies.authorize(("User", "alice"), ("Action", "chat"), ("Model", "small"))
    answer.allowed, answer.reasons
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from . import _aicp as _c
from ._handle import Handle, given

Text = Union[str, bytes]
Uid = Tuple[str, str]
Lookup = Callable[[Uid], Union[None, Text, Mapping[str, Any]]]


def _pair(uid: Uid) -> Uid:
    """The type and the id. A text would fall apart into its first two letters."""
    if isinstance(uid, (str, bytes)):
        raise TypeError(f"an entity is a pair of type and id, not the text {uid!r}")
    return uid[0], uid[1]


class Policy(NamedTuple):
    """One policy of a set."""

    id: str
    effect: str
    line: int
    column: int
    annotations: Dict[str, str]


@dataclass(frozen=True)
class PolicyFailure:
    """A policy that could not be evaluated; it counts as not satisfied."""

    policy: str
    kind: str
    message: str
    line: int
    column: int
    index: int
    code: int


@dataclass(frozen=True)
class Authorization:
    """The answer: ``allowed``, the ids (and indexes) of the policies that decided, failures."""

    allowed: bool
    reasons: List[str]
    reason_indexes: List[int]
    errors: List[PolicyFailure]

    def __bool__(self) -> bool:
        return self.allowed


class PolicyFinding(NamedTuple):
    """What the validator found in a policy or template, with its place in the text."""

    severity: str
    kind: str
    policy: str
    index: int
    is_template: bool
    line: int
    column: int
    offset: int
    message: str


@dataclass(frozen=True)
class Validation:
    """The validator's report; ``truncated`` when there were more findings than are kept."""

    passed: bool
    truncated: bool
    findings: List[PolicyFinding]

    def __bool__(self) -> bool:
        return self.passed

    @property
    def errors(self) -> List[PolicyFinding]:
        """The findings for which the set does not pass."""
        return [f for f in self.findings if f.severity == "error"]

    @property
    def warnings(self) -> List[PolicyFinding]:
        """The findings that do not count against the set."""
        return [f for f in self.findings if f.severity == "warning"]


class SchemaWarning(NamedTuple):
    """Something of a schema that is allowed but may surprise, with its place from 1."""

    message: str
    line: int
    column: int


class Schema(Handle):
    """What entities, actions and contexts look like, in Cedar's schema syntax or as JSON (a text
    that begins with a brace, or a mapping). Immutable; any thread may use it."""

    __slots__ = ()

    def __init__(
        self,
        schema: Union[Text, Mapping[str, Any]] = "",
        *,
        max_depth: Optional[int] = None,
        max_bytes: Optional[int] = None,
    ) -> None:
        text = schema if isinstance(schema, (str, bytes)) else json.dumps(dict(schema))
        self._h = _c.aicp_policy_schema_parse(text, given(max_depth=max_depth, max_bytes=max_bytes))

    def to_cedar(self) -> str:
        """The schema in Cedar's schema syntax."""
        return _c.aicp_policy_schema_write(self._h, _c.AICP_POLICY_FORMAT_CEDAR).decode()

    def to_json(self) -> str:
        """The schema in the JSON form."""
        return _c.aicp_policy_schema_write(self._h, _c.AICP_POLICY_FORMAT_JSON).decode()

    @property
    def entity_types(self) -> List[str]:
        """The declared entity types with their namespaces."""
        h = self._h
        return [
            _c.aicp_policy_schema_entity_type(h, i)
            for i in range(_c.aicp_policy_schema_entity_type_count(h))
        ]

    @property
    def actions(self) -> List[Uid]:
        """The declared actions: (type, id)."""
        h = self._h
        return [
            (
                _c.aicp_policy_schema_action_type(h, i),
                _c.aicp_policy_schema_action_id(h, i).decode(),
            )
            for i in range(_c.aicp_policy_schema_action_count(h))
        ]

    @property
    def warnings(self) -> List[SchemaWarning]:
        """Declarations that hide others."""
        h = self._h
        return [
            SchemaWarning(
                _c.aicp_policy_schema_warning(h, i),
                _c.aicp_policy_schema_warning_line(h, i),
                _c.aicp_policy_schema_warning_column(h, i),
            )
            for i in range(_c.aicp_policy_schema_warning_count(h))
        ]


@dataclass(frozen=True)
class PartialAuthorization:
    """What is sure of a request with unknown parts: ``allowed`` (None: that hangs on them), the
    policies that make it so, those that fail in any case, and as ``rest`` what is left."""

    allowed: Optional[bool]
    reasons: List[str]
    errors: List[PolicyFailure]
    rest: "PolicySet"


class Entities(Handle):
    """A store of entities, read from Cedar's JSON form; with a ``schema`` they must be as it declares, and its
    actions are added. Immutable; any thread may use it."""

    __slots__ = ()

    def __init__(
        self,
        entities: Union[Text, Sequence[Mapping[str, Any]]] = "[]",
        *,
        schema: Optional[Schema] = None,
        max_bytes: Optional[int] = None,
        max_entities: Optional[int] = None,
        max_ancestors: Optional[int] = None,
    ) -> None:
        text = entities if isinstance(entities, (str, bytes)) else json.dumps(entities)
        options = given(
            max_bytes=max_bytes,
            max_entities=max_entities,
            max_ancestors=max_ancestors,
            schema=None if schema is None else schema._h,
        )
        self._h = _c.aicp_policy_entities_parse(text, options)

    def __len__(self) -> int:
        return _c.aicp_policy_entities_count(self._h)

    def __contains__(self, uid: Uid) -> bool:
        return bool(_c.aicp_policy_entities_contains(self._h, *_pair(uid)))

    def to_json(self) -> str:
        """All entities as JSON that :class:`Entities` reads again, one a line."""
        return _c.aicp_policy_entities_write(self._h).decode()


_NO_ENTITIES = Entities()
_PARTS = {
    "principal": _c.AICP_POLICY_PRINCIPAL,
    "action": _c.AICP_POLICY_ACTION,
    "resource": _c.AICP_POLICY_RESOURCE,
}

_FORMS = {"cedar": _c.AICP_POLICY_FORMAT_CEDAR, "json": _c.AICP_POLICY_FORMAT_JSON}


def format_policies(
    text: Text,
    *,
    line_width: Optional[int] = None,
    indent: Optional[int] = None,
    max_depth: Optional[int] = None,
    max_bytes: Optional[int] = None,
) -> str:
    """Policies in Cedar's text syntax in a canonical layout, with all their comments."""
    options = given(
        line_width=line_width, indent=indent, max_depth=max_depth, max_bytes=max_bytes
    )
    return _c.aicp_policy_format(text, options).decode()


class PolicySet(Handle):
    """Policies in Cedar's text syntax or JSON. Immutable; any thread may use it."""

    __slots__ = ()

    def __init__(
        self,
        text: Text = "",
        *,
        id_from_annotation: bool = False,
        max_depth: Optional[int] = None,
        max_bytes: Optional[int] = None,
    ) -> None:
        flags = _c.AICP_POLICY_ID_FROM_ANNOTATION if id_from_annotation else None
        options = given(flags=flags, max_depth=max_depth, max_bytes=max_bytes)
        self._h = _c.aicp_policy_set_parse(text, options)

    def link(self, links: Union[Text, Sequence[Mapping[str, Any]]]) -> "PolicySet":
        """A new set: this one and links of its templates."""
        text = links if isinstance(links, (str, bytes)) else json.dumps(links)
        made = PolicySet.__new__(PolicySet)
        made._h = _c.aicp_policy_set_link(self._h, text)
        return made

    def write(
        self,
        form: str = "cedar",
        *,
        policy: Union[None, int, str] = None,
        template: Union[None, int, str] = None,
    ) -> str:
        """The set, or one policy or template of it, in the form "cedar" or "json". A set with links
        has no other form than JSON."""
        h, number = self._h, _FORMS[form]
        if template is not None:
            which = self.templates.index(template) if isinstance(template, str) else template
            return _c.aicp_policy_set_write_template(h, which, number).decode()
        if policy is not None:
            which = _c.aicp_policy_set_find(h, policy) if isinstance(policy, str) else policy
            return _c.aicp_policy_set_write_policy(h, which, number).decode()
        return _c.aicp_policy_set_write(h, number).decode()

    def __len__(self) -> int:
        return _c.aicp_policy_set_count(self._h)

    def __getitem__(self, which: Union[int, str]) -> Policy:
        h = self._h
        if isinstance(which, str):
            index = _c.aicp_policy_set_find(h, which)
        else:
            index = which + len(self) if which < 0 else which
            if not 0 <= index < len(self):
                raise IndexError(which)
        notes = {
            _c.aicp_policy_set_annotation_key(h, index, n): _c.aicp_policy_set_annotation_value(
                h, index, n
            )
            for n in range(_c.aicp_policy_set_annotation_count(h, index))
        }
        permit = _c.aicp_policy_set_effect(h, index) == _c.AICP_POLICY_PERMIT
        return Policy(
            _c.aicp_policy_set_id(h, index),
            "permit" if permit else "forbid",
            _c.aicp_policy_set_line(h, index),
            _c.aicp_policy_set_column(h, index),
            notes,
        )

    def annotation(self, which: Union[int, str], key: str) -> Optional[str]:
        """Value of one annotation, None when the policy has none of that name."""
        index = _c.aicp_policy_set_find(self._h, which) if isinstance(which, str) else which
        return _c.aicp_policy_set_annotation(self._h, index, key)

    @property
    def templates(self) -> List[str]:
        """Ids of the templates."""
        h = self._h
        return [
            _c.aicp_policy_set_template_id(h, i)
            for i in range(_c.aicp_policy_set_template_count(h))
        ]

    def authorize(
        self,
        principal: Uid,
        action: Uid,
        resource: Uid,
        context: Optional[Union[Text, Mapping[str, Any]]] = None,
        entities: Optional[Entities] = None,
        *,
        decision_only: bool = False,
    ) -> Authorization:
        """Answers one question; make a :class:`Request` for context values that JSON cannot say."""
        request = Request(principal, action, resource, context)
        return request.authorize(self, entities, decision_only=decision_only)

    def authorize_json(
        self,
        requests: Text,
        entities: Optional[Entities] = None,
        *,
        decision_only: bool = False,
        lines: bool = False,
        first_line: Optional[int] = None,
        schema: Optional[Schema] = None,
    ) -> bytes:
        """Answers many requests, a JSON array or JSON Lines, in the form they come in. ``lines``:
        JSON Lines even where the text begins with a bracket; ``first_line``: its first number;
        ``schema``: requests are read by it, and one that is not as it declares is an error. The
        groups of its actions stand in entities that were read with it."""
        flags = (_c.AICP_POLICY_DECISION_ONLY if decision_only else 0) | (
            _c.AICP_POLICY_LINES if lines else 0
        )
        store = (entities if entities is not None else _NO_ENTITIES)._h
        options = given(
            flags=flags, first_line=first_line, schema=schema._h if schema is not None else None
        )
        return _c.aicp_policy_authorize_json(self._h, store, options, requests)

    def authorize_many(
        self,
        requests: Iterable[Mapping[str, Any]],
        entities: Optional[Entities] = None,
        *,
        decision_only: bool = False,
        schema: Optional[Schema] = None,
    ) -> List[Dict[str, Any]]:
        """The same for mappings: ``{"principal": 'User::"ann"', "action": …, "resource": …,
        "context": {…}}`` each; the answers have "decision", "reasons", "errors", or "error"."""
        text = json.dumps(list(requests))
        answers = self.authorize_json(text, entities, decision_only=decision_only, schema=schema)
        return json.loads(answers)

    def validate(
        self,
        schema: Schema,
        *,
        permissive: bool = False,
        inapplicable_warns: bool = False,
        max_findings: Optional[int] = None,
    ) -> Validation:
        """Checks all policies, templates and links against a schema."""
        flags = _c.AICP_POLICY_VALIDATE_PERMISSIVE if permissive else 0
        flags |= _c.AICP_POLICY_VALIDATE_INAPPLICABLE_WARNS if inapplicable_warns else 0
        report = _c.aicp_policy_validate(
            self._h, schema._h, given(flags=flags or None, max_findings=max_findings)
        )
        return Validation(
            bool(_c.aicp_policy_report_passed(report)),
            bool(_c.aicp_policy_report_truncated(report)),
            [_finding(report, i) for i in range(_c.aicp_policy_report_count(report))],
        )


def _finding(report: Any, nth: int) -> PolicyFinding:
    error = _c.aicp_policy_report_severity(report, nth) == _c.AICP_POLICY_SEVERITY_ERROR
    return PolicyFinding(
        "error" if error else "warning",
        _c.aicp_policy_finding_name(_c.aicp_policy_report_kind(report, nth)),
        _c.aicp_policy_report_id(report, nth),
        _c.aicp_policy_report_index(report, nth),
        bool(_c.aicp_policy_report_is_template(report, nth)),
        _c.aicp_policy_report_line(report, nth),
        _c.aicp_policy_report_column(report, nth),
        _c.aicp_policy_report_offset(report, nth),
        _c.aicp_policy_report_message(report, nth),
    )


class Request(Handle):
    """A question that is built step by step, reusable. One thread at a time."""

    __slots__ = ()

    def __init__(
        self,
        principal: Optional[Uid] = None,
        action: Optional[Uid] = None,
        resource: Optional[Uid] = None,
        context: Optional[Union[Text, Mapping[str, Any]]] = None,
        *,
        schema: Optional[Schema] = None,
    ) -> None:
        self._h = _c.aicp_policy_request_new()
        if schema is not None:
            self.schema(schema)
        if principal is not None:
            self.principal(principal)
        if action is not None:
            self.action(action)
        if resource is not None:
            self.resource(resource)
        if context is not None:
            self.context(context)

    def schema(self, schema: Schema) -> None:
        """From now on contexts and attributes that become JSON are read by what the schema declares, contexts by the
        action that is set at that moment."""
        _c.aicp_policy_request_set_schema(self._h, schema._h)

    def check(self) -> None:
        """Raises :class:`aicp.AicpError` when the request is not as its schema declares."""
        _c.aicp_policy_request_check(self._h)

    def lookup(self, find: Optional[Lookup]) -> None:
        """Lets ``find((type, id))`` give entities that live elsewhere: the entity as JSON, a mapping that becomes
        JSON, or None when there is none. It is called at most once for each until :meth:`reset`, and what it raises
        comes out of the call that needed it. It must not use this request."""

        def ask(type: str, id: str) -> Optional[Text]:
            assert find is not None
            found = find((type, id))
            return found if found is None or isinstance(found, (str, bytes)) else json.dumps(dict(found))

        _c.aicp_policy_request_set_lookup(self._h, None if find is None else ask)

    def reset(self) -> None:
        """Empties the request."""
        _c.aicp_policy_request_reset(self._h)

    def principal(self, uid: Uid) -> None:
        """Who asks: (type, id)."""
        _c.aicp_policy_request_set_principal(self._h, *_pair(uid))

    def action(self, uid: Uid) -> None:
        """What is to be done: (type, id)."""
        _c.aicp_policy_request_set_action(self._h, *_pair(uid))

    def resource(self, uid: Uid) -> None:
        """On what: (type, id)."""
        _c.aicp_policy_request_set_resource(self._h, *_pair(uid))

    def json(self, request: Union[Text, Mapping[str, Any]]) -> None:
        """Principal, action, resource and context as one JSON object, or a mapping that becomes
        one; an entity may also stand as text, ``Type::"id"``."""
        text = request if isinstance(request, (str, bytes)) else json.dumps(dict(request))
        _c.aicp_policy_request_set_json(self._h, text)

    def unknown(self, part: str, type: Optional[str] = None) -> None:
        """Makes "principal", "action" or "resource" unknown but for its type."""
        _c.aicp_policy_request_set_unknown(self._h, _PARTS[part], type or "")

    def context(self, context: Union[Text, Mapping[str, Any]]) -> None:
        """The whole context as JSON, or a mapping that becomes JSON."""
        text = context if isinstance(context, (str, bytes)) else json.dumps(dict(context))
        _c.aicp_policy_request_set_context_json(self._h, text)

    def context_value(self, name: str, value: Any) -> None:
        """Sets one attribute: bool, int, str, a set or list of str, or anything JSON can say."""
        h = self._h
        if isinstance(value, bool):
            _c.aicp_policy_request_context_bool(h, name, int(value))
        elif isinstance(value, int):
            _c.aicp_policy_request_context_long(h, name, value)
        elif isinstance(value, str):
            _c.aicp_policy_request_context_string(h, name, value)
        elif _all_text(value):
            _c.aicp_policy_request_context_string_set(h, name, sorted(value))
        else:
            _c.aicp_policy_request_context_json(h, name, json.dumps(value))

    def context_entity(self, name: str, uid: Uid) -> None:
        """Sets an attribute to an entity."""
        _c.aicp_policy_request_context_entity(self._h, name, *_pair(uid))

    def context_ip(self, name: str, address: str) -> None:
        """Sets an attribute to an address or a range of addresses."""
        _c.aicp_policy_request_context_ip(self._h, name, address)

    def context_decimal(self, name: str, number: str) -> None:
        """Sets an attribute to a decimal, given as text."""
        _c.aicp_policy_request_context_decimal(self._h, name, str(number))

    def context_datetime(self, name: str, epoch_ms: int) -> None:
        """Sets an attribute to a datetime, in milliseconds since 1970."""
        _c.aicp_policy_request_context_datetime(self._h, name, epoch_ms)

    def context_duration(self, name: str, duration_ms: int) -> None:
        """Sets an attribute to a duration in milliseconds."""
        _c.aicp_policy_request_context_duration(self._h, name, duration_ms)

    def entity(
        self,
        uid: Uid,
        parents: Iterable[Uid] = (),
        attrs: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Adds an entity that only this request knows."""
        h = self._h
        _c.aicp_policy_request_entity_begin(h, *_pair(uid))
        for parent in parents:
            _c.aicp_policy_request_entity_parent(h, *_pair(parent))
        for name, value in (attrs or {}).items():
            if isinstance(value, bool):
                _c.aicp_policy_request_entity_attr_bool(h, name, int(value))
            elif isinstance(value, int):
                _c.aicp_policy_request_entity_attr_long(h, name, value)
            elif isinstance(value, str):
                _c.aicp_policy_request_entity_attr_string(h, name, value)
            elif _all_text(value):
                _c.aicp_policy_request_entity_attr_string_set(h, name, sorted(value))
            else:
                _c.aicp_policy_request_entity_attr_json(h, name, json.dumps(value))

    def entity_attr_entity(self, name: str, uid: Uid) -> None:
        """Sets an attribute of the entity added last to an entity."""
        _c.aicp_policy_request_entity_attr_entity(self._h, name, *_pair(uid))

    def entity_attr_decimal(self, name: str, number: str) -> None:
        """Sets an attribute of the entity added last to a decimal, given as text."""
        _c.aicp_policy_request_entity_attr_decimal(self._h, name, str(number))

    def entity_attr_datetime(self, name: str, epoch_ms: int) -> None:
        """Sets an attribute of the entity added last to a datetime in milliseconds since 1970."""
        _c.aicp_policy_request_entity_attr_datetime(self._h, name, epoch_ms)

    def authorize(
        self,
        policies: PolicySet,
        entities: Optional[Entities] = None,
        *,
        decision_only: bool = False,
    ) -> Authorization:
        """Asks. ``decision_only`` stops as soon as the decision is sure."""
        response = _c.aicp_policy_response_new()
        flags = _c.AICP_POLICY_DECISION_ONLY if decision_only else 0
        store = (entities if entities is not None else _NO_ENTITIES)._h
        _c.aicp_policy_authorize(policies._h, store, self._h, flags, response)
        return _read(response)

    def partial(
        self, policies: PolicySet, entities: Optional[Entities] = None
    ) -> "PartialAuthorization":
        """What holds whatever the parts are that are not set, and what is left of the policies."""
        response = _c.aicp_policy_response_new()
        store = (entities if entities is not None else _NO_ENTITIES)._h
        rest = PolicySet.__new__(PolicySet)
        rest._h = _c.aicp_policy_partial(policies._h, store, self._h, response)
        decision = _c.aicp_policy_response_decision(response)
        undecided = decision == _c.AICP_POLICY_UNDECIDED
        answer = _read(response)
        return PartialAuthorization(
            None if undecided else answer.allowed, answer.reasons, answer.errors, rest
        )

    def explain(
        self,
        policies: PolicySet,
        entities: Optional[Entities] = None,
        *,
        every_policy: bool = False,
    ) -> Dict[str, Any]:
        """Why it is answered as it is: "decision", "reasons", and per policy what became of it,
        which part decided with the values seen, and changes that were tried and turn it."""
        flags = _c.AICP_POLICY_EXPLAIN_ALL if every_policy else 0
        store = (entities if entities is not None else _NO_ENTITIES)._h
        return json.loads(_c.aicp_policy_explain(policies._h, store, self._h, flags))

    def filter(
        self, policies: PolicySet, ids: Iterable[str], entities: Optional[Entities] = None
    ) -> List[str]:
        """Those of the ids that are allowed in the place of the one part that is unknown."""
        candidates = list(ids)
        store = (entities if entities is not None else _NO_ENTITIES)._h
        allowed = _c.aicp_policy_filter(policies._h, store, self._h, candidates)
        return [id for id, one in zip(candidates, allowed) if one]


def _read(response: Any) -> Authorization:
    reasons = range(_c.aicp_policy_response_reason_count(response))
    errors = range(_c.aicp_policy_response_error_count(response))
    return Authorization(
        _c.aicp_policy_response_decision(response) == _c.AICP_POLICY_ALLOW,
        [_c.aicp_policy_response_reason_id(response, n) for n in reasons],
        [_c.aicp_policy_response_reason_index(response, n) for n in reasons],
        [_failure(response, n) for n in errors],
    )


def _failure(response: Any, n: int) -> PolicyFailure:
    return PolicyFailure(
        _c.aicp_policy_response_error_id(response, n),
        _c.aicp_policy_error_name(_c.aicp_policy_response_error_kind(response, n)),
        _c.aicp_policy_response_error_message(response, n),
        _c.aicp_policy_response_error_line(response, n),
        _c.aicp_policy_response_error_column(response, n),
        _c.aicp_policy_response_error_index(response, n),
        _c.aicp_policy_response_error_status(response, n),
    )


def _all_text(value: Any) -> bool:
    return isinstance(value, (set, frozenset, list, tuple)) and all(
        isinstance(item, str) for item in value
    )
