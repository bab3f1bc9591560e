"""Who asks, for what: from what the proxy knows to the fields of the gate."""

from __future__ import annotations

import json
import uuid
from typing import Any, Callable, Dict, List, Mapping, Optional

try:
    import orjson
except ImportError:  # pragma: no cover - the proxy brings it
    orjson = None  # type: ignore[assignment]

_ACTIONS: Dict[str, str] = {
    "completion": "chat",
    "anthropic_messages": "chat",
    "text_completion": "complete",
    "embedding": "embed",
    "rerank": "embed",
    "moderation": "embed",
    "responses": "respond",
    "image_generation": "image",
    "image_edit": "image",
    "image_variation": "image",
    "video_generation": "image",
    "transcription": "audio",
    "speech": "audio",
    "mcp_call": "tool",
    "call_mcp_tool": "tool",
}

# What LiteLLM keeps in the request beside the body.
_INTERNAL = frozenset(
    """
    api_base api_key api_version base_url cache caching client custom_llm_provider
    disable_global_guardrails enable_sensitive_data fallbacks force_timeout
    guardrail_to_apply guardrails headers kwargs litellm_call_id litellm_logging_obj
    litellm_metadata litellm_params litellm_parent_otel_span litellm_session_id
    litellm_trace_id metadata model_info no-log num_retries policies prompt_id
    prompt_variables proxy_server_request secret_fields specific_deployment standard_logging_object
    tags ttl user_api_key_dict user_config
    """.split()
)


def action_of(call_type: str) -> Optional[str]:
    """The gate's action for a call type; None for calls that reach no model (files, batches …)."""
    name = str(getattr(call_type, "value", call_type))
    found = _ACTIONS.get(name)
    if found is None and name.startswith("a"):
        found = _ACTIONS.get(name[1:])
    return found


def payload_of(data: Mapping[str, Any]) -> Dict[str, Any]:
    """The body of the call: what came from the caller, without LiteLLM's own fields."""
    return {
        key: value for key, value in data.items() if key not in _INTERNAL and not key.startswith("_")
    }


def _plain(value: Any) -> Any:
    dump: Optional[Callable[..., Any]] = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json", exclude_none=True)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>"
    return str(type(value).__name__)


def to_json(value: Any) -> bytes:
    """JSON bytes; objects that JSON does not know become their type's name."""
    if orjson is not None:
        try:
            return orjson.dumps(value, default=_plain)
        except (TypeError, ValueError):
            pass  # an integer beyond 64 bits or a lone surrogate: the slow way knows them
    return json.dumps(value, default=_plain).encode()


def metadata_of(data: Mapping[str, Any]) -> Dict[str, Any]:
    """LiteLLM's own metadata of a request (newer endpoints keep it apart from the caller's)."""
    for name in ("litellm_metadata", "metadata"):
        value = data.get(name)
        if isinstance(value, dict):
            return value
    return {}


def _text(value: Any) -> str:
    if value is None:
        return ""
    value = getattr(value, "value", value)
    return value if isinstance(value, str) else str(value)


def _cut(text: str, most: int) -> str:
    """The text in at most so many bytes of UTF-8; half characters are left out."""
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def tags_of(data: Mapping[str, Any]) -> List[str]:
    """Tags of the request, without repetition."""
    found: Dict[str, None] = {}
    for source in (metadata_of(data).get("tags"), data.get("tags")):
        if isinstance(source, (list, tuple)):
            for tag in source:
                if isinstance(tag, str) and tag:
                    found[_cut(tag, 256)] = None
    return list(found)[:64]


def call_id_of(data: Mapping[str, Any]) -> str:
    """An id that is new for sure. One that the caller chose is only its beginning, so that nobody
    can make two requests pass as one."""
    own = _text(data.get("litellm_call_id"))
    request = data.get("proxy_server_request")
    headers = request.get("headers") if isinstance(request, Mapping) else None
    chosen = isinstance(headers, Mapping) and any(
        str(name).lower() == "x-litellm-call-id" for name in headers
    )
    if own and not chosen:
        return _cut(own, 128)
    return f"{_cut(own, 80)}.{uuid.uuid4().hex}" if own else uuid.uuid4().hex


def subject_of(user: Any, data: Mapping[str, Any]) -> Dict[str, Any]:
    """Keyword arguments of :meth:`aicp.Gate.check` for the caller of a request."""
    meta = metadata_of(data)
    fields = {
        "key": _text(getattr(user, "api_key", None)) or _text(getattr(user, "token", None)),
        "key_alias": _text(getattr(user, "key_alias", None)),
        "user": _text(getattr(user, "user_id", None)),
        "team": _text(getattr(user, "team_id", None)) or _text(getattr(user, "team_alias", None)),
        "org": _text(getattr(user, "org_id", None)),
        "end_user": _text(getattr(user, "end_user_id", None)) or _text(data.get("user")),
        "role": _text(getattr(user, "user_role", None)),
        "ip": _text(meta.get("requester_ip_address")),
    }
    subject: Dict[str, Any] = {name: _cut(value, 1024) for name, value in fields.items() if value}
    subject["source"] = "litellm"
    subject["tags"] = tags_of(data)
    return subject
