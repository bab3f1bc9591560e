"""A client of a LiteLLM proxy: models, keys, teams, chat.

    client = LiteLLMClient("http://localhost:4000", key)
    client.models()
    client.chat_stream({"model": "gpt-4o", "messages": [...]}, print)
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

from . import _aicp as _c
from ._handle import Handle, given
from .errors import NotFoundError

Body = Union[str, bytes, Mapping[str, Any]]


def _text(body: Body) -> Union[str, bytes]:
    return body if isinstance(body, (str, bytes)) else json.dumps(body)


class Reply:
    """An answer as it came. ``cost_nano`` is None when the proxy did not tell a cost."""

    __slots__ = ("status", "body", "cost_nano", "_r")

    def __init__(self, reply: Any) -> None:
        self._r = reply
        self.status: int = _c.aicp_litellm_reply_status(reply)
        self.body: bytes = _c.aicp_litellm_reply_body(reply) or b""
        try:
            self.cost_nano: Optional[int] = _c.aicp_litellm_reply_cost(reply)
        except NotFoundError:
            self.cost_nano = None

    def header(self, name: str) -> Optional[str]:
        """Value of a response header, None when it is absent."""
        return _c.aicp_litellm_reply_header(self._r, name.lower())

    def json(self) -> Any:
        """The body as data."""
        return json.loads(self.body) if self.body else None


class LiteLLMClient(Handle):
    """Connections to one proxy with one key. Thread-safe; the calls wait.

    An error of the proxy is an :class:`aicp.AicpError` that has its ``status``, ``type``,
    ``error_code`` and ``param`` as attributes.
    """

    __slots__ = ()

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: Optional[float] = None,
        chat_timeout: Optional[float] = None,
        connect_timeout: Optional[float] = None,
        max_response: Optional[int] = None,
        max_idle: Optional[int] = None,
    ) -> None:
        def ms(seconds: Optional[float]) -> Optional[int]:
            return None if seconds is None else int(seconds * 1000)

        options = given(
            timeout_ms=ms(timeout),
            chat_timeout_ms=ms(chat_timeout),
            connect_timeout_ms=ms(connect_timeout),
            max_response=max_response,
            max_idle=max_idle,
        )
        self._h = _c.aicp_litellm_open(url, key, options)

    def _ask(self, function: Callable[..., None], *args: Any) -> Reply:
        reply = _c.aicp_litellm_reply_new()
        try:
            function(self._h, *args, reply)
        except Exception as error:
            error.status = _c.aicp_litellm_reply_status(reply)  # type: ignore[attr-defined]
            error.type = _c.aicp_litellm_reply_type(reply)  # type: ignore[attr-defined]
            error.error_code = _c.aicp_litellm_reply_code(reply)  # type: ignore[attr-defined]
            error.param = _c.aicp_litellm_reply_param(reply)  # type: ignore[attr-defined]
            told = _c.aicp_litellm_reply_message(reply)
            if told:
                error.message = told  # type: ignore[attr-defined]
            raise
        return Reply(reply)

    def call(self, method: str, path: str, body: Optional[Body] = None) -> Reply:
        """Any call; ``path`` begins with a slash and may have a query."""
        if body is None:
            return self._ask(_c.aicp_litellm_call_bare, method, path)
        return self._ask(_c.aicp_litellm_call, method, path, _text(body))

    def health(self) -> Dict[str, Any]:
        """Whether the proxy is ready."""
        return self._ask(_c.aicp_litellm_health).json()

    def models(self) -> List[str]:
        """Names of the models that the key may use."""
        return [entry["id"] for entry in self._ask(_c.aicp_litellm_models).json()["data"]]

    def model_info(self) -> List[Dict[str, Any]]:
        """Every deployment with its prices and limits."""
        return self._ask(_c.aicp_litellm_model_info).json()["data"]

    def key_generate(self, **fields: Any) -> Dict[str, Any]:
        """Makes a key; ``key`` of the answer is shown this once."""
        return self._ask(_c.aicp_litellm_key_generate, _text(fields)).json()

    def key_info(self, key: str) -> Dict[str, Any]:
        """What is known of a key, or of the hash of one."""
        return self._ask(_c.aicp_litellm_key_info, key).json()

    def key_list(self) -> List[Dict[str, Any]]:
        """All keys."""
        return self._ask(_c.aicp_litellm_key_list).json()

    def key_update(self, **fields: Any) -> Dict[str, Any]:
        """Changes a key; ``key`` names it."""
        return self._ask(_c.aicp_litellm_key_update, _text(fields)).json()

    def key_delete(self, key: str) -> Any:
        """Deletes a key, or the one of a hash."""
        return self._ask(_c.aicp_litellm_key_delete, key).json()

    def team_new(self, **fields: Any) -> Dict[str, Any]:
        """Makes a team."""
        return self._ask(_c.aicp_litellm_team_new, _text(fields)).json()

    def team_info(self, team_id: str) -> Dict[str, Any]:
        """What is known of a team."""
        return self._ask(_c.aicp_litellm_team_info, team_id).json()

    def team_list(self) -> List[Dict[str, Any]]:
        """All teams."""
        return self._ask(_c.aicp_litellm_team_list).json()

    def team_update(self, **fields: Any) -> Dict[str, Any]:
        """Changes a team; ``team_id`` names it."""
        return self._ask(_c.aicp_litellm_team_update, _text(fields)).json()

    def team_delete(self, team_id: str) -> Any:
        """Deletes a team."""
        return self._ask(_c.aicp_litellm_team_delete, team_id).json()

    def chat(self, request: Body) -> Reply:
        """A chat completion, answered whole."""
        return self._ask(_c.aicp_litellm_chat, _text(request))

    def chat_stream(self, request: Body, each: Callable[[Dict[str, Any]], Any]) -> None:
        """A streamed chat completion; ``each`` gets every event, and ends the stream by raising."""

        def event(data: bytes) -> None:
            each(json.loads(data))

        reply = _c.aicp_litellm_reply_new()
        body = json.loads(request) if isinstance(request, (str, bytes)) else dict(request)
        body["stream"] = True
        _c.aicp_litellm_chat_stream(self._h, json.dumps(body), event, reply)
