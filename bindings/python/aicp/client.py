"""A client of a LiteLLM proxy: models, keys, teams, users, budgets, spend, configuration, chat.

    client = LiteLLMClient("http://localhost:4000", key)
    client.models()
    client.chat_stream({"model": "gpt-4o", "messages": [...]}, print)
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

from . import _aicp as _c
from ._handle import Handle, given
from .errors import AicpError, NotFoundError

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

    @property
    def usage(self) -> Optional[Dict[str, int]]:
        """What the call used: tokens, and ``cost_nano``; -1 = not told. None when nothing was told."""
        try:
            return _c.aicp_litellm_reply_usage(self._r)
        except NotFoundError:
            return None

    def json(self) -> Any:
        """The body as data."""
        return json.loads(self.body) if self.body else None


class LiteLLMClient(Handle):
    """Connections to one proxy with one key. Thread-safe; the calls wait.

    An error of the proxy is an :class:`aicp.AicpError` that has its ``status``, ``type``,
    ``error_code`` and ``param`` as attributes; ``relay`` is the HTTP status that a service which
    passes the call on gives to its own caller. Keyword arguments of calls that list something are
    filters of the proxy; lists that come in pages are fetched whole unless ``page`` names one.
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
        except AicpError as error:
            error.relay = _c.aicp_litellm_reply_relay(reply, error.code)  # type: ignore[attr-defined]
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

    def health_details(self) -> Dict[str, Any]:
        """The same with the proxy's version, cache and callbacks."""
        return self._ask(_c.aicp_litellm_health_details).json()

    def liveness(self) -> Any:
        """A greeting."""
        return self._ask(_c.aicp_litellm_liveness).json()

    def backlog(self) -> Dict[str, Any]:
        """How many requests run, wait and were refused."""
        return self._ask(_c.aicp_litellm_backlog).json()

    def model_health(self) -> Dict[str, Any]:
        """Calls every model, which takes time and money: which of them answer."""
        return self._ask(_c.aicp_litellm_model_health).json()

    def model_health_latest(self) -> Dict[str, Any]:
        """What the last check of the background found."""
        return self._ask(_c.aicp_litellm_model_health_latest).json()

    def models(self) -> List[str]:
        """Names of the models that the key may use."""
        return [entry["id"] for entry in self._ask(_c.aicp_litellm_models).json()["data"]]

    def model_info(self) -> List[Dict[str, Any]]:
        """Every deployment with its prices and limits."""
        return self._ask(_c.aicp_litellm_model_info).json()["data"]

    def model_get(self, model_id: str) -> Dict[str, Any]:
        """A deployment, in ``data``."""
        return self._ask(_c.aicp_litellm_model_get, model_id).json()

    def model_find(self, **filters: Any) -> List[Dict[str, Any]]:
        """Deployments that the filters leave, of all pages."""
        return self._ask(_c.aicp_litellm_model_find, _text(filters)).json()

    def model_groups(self) -> Dict[str, Any]:
        """Limits and abilities of each public name."""
        return self._ask(_c.aicp_litellm_model_groups).json()

    def model_new(self, **fields: Any) -> Dict[str, Any]:
        """Makes a deployment."""
        return self._ask(_c.aicp_litellm_model_new, _text(fields)).json()

    def model_update(self, **fields: Any) -> Dict[str, Any]:
        """Changes a deployment; ``model_info`` names it."""
        return self._ask(_c.aicp_litellm_model_update, _text(fields)).json()

    def model_patch(self, model_id: str, **fields: Any) -> Dict[str, Any]:
        """Changes what the fields name."""
        return self._ask(_c.aicp_litellm_model_patch, model_id, _text(fields)).json()

    def model_delete(self, model_id: str) -> Dict[str, Any]:
        """Deletes a deployment."""
        return self._ask(_c.aicp_litellm_model_delete, model_id).json()

    def model_block(self, model_id: str) -> Dict[str, Any]:
        """Takes a deployment out of service."""
        return self._ask(_c.aicp_litellm_model_block, model_id).json()

    def model_unblock(self, model_id: str) -> Dict[str, Any]:
        """Puts a deployment back into service."""
        return self._ask(_c.aicp_litellm_model_unblock, model_id).json()

    def key_generate(self, **fields: Any) -> Dict[str, Any]:
        """Makes a key; ``key`` of the answer is shown this once."""
        return self._ask(_c.aicp_litellm_key_generate, _text(fields)).json()

    def key_info(self, key: str) -> Dict[str, Any]:
        """What is known of a key, or of the hash of one."""
        return self._ask(_c.aicp_litellm_key_info, key).json()

    def key_list(self) -> List[Dict[str, Any]]:
        """All keys."""
        return self._ask(_c.aicp_litellm_key_list).json()

    def key_find(self, **filters: Any) -> List[Dict[str, Any]]:
        """Keys that the filters leave, of all pages."""
        return self._ask(_c.aicp_litellm_key_find, _text(filters)).json()

    def key_update(self, **fields: Any) -> Dict[str, Any]:
        """Changes a key; ``key`` names it."""
        return self._ask(_c.aicp_litellm_key_update, _text(fields)).json()

    def key_delete(self, key: str) -> Dict[str, Any]:
        """Deletes a key, or the one of a hash."""
        return self._ask(_c.aicp_litellm_key_delete, key).json()

    def key_delete_many(self, **fields: Any) -> Dict[str, Any]:
        """Deletes ``keys`` or ``key_aliases``."""
        return self._ask(_c.aicp_litellm_key_delete_many, _text(fields)).json()

    def key_block(self, key: str) -> Dict[str, Any]:
        """Blocks a key, or the one of a hash."""
        return self._ask(_c.aicp_litellm_key_block, key).json()

    def key_unblock(self, key: str) -> Dict[str, Any]:
        """Unblocks a key, or the one of a hash."""
        return self._ask(_c.aicp_litellm_key_unblock, key).json()

    def key_reset_spend(self, key: str, **fields: Any) -> Dict[str, Any]:
        """Sets the spend of a key to ``reset_to`` dollars."""
        return self._ask(_c.aicp_litellm_key_reset_spend, key, _text(fields)).json()

    def team_new(self, **fields: Any) -> Dict[str, Any]:
        """Makes a team."""
        return self._ask(_c.aicp_litellm_team_new, _text(fields)).json()

    def team_info(self, team_id: str) -> Dict[str, Any]:
        """What is known of a team."""
        return self._ask(_c.aicp_litellm_team_info, team_id).json()

    def team_list(self) -> List[Dict[str, Any]]:
        """All teams."""
        return self._ask(_c.aicp_litellm_team_list).json()

    def team_find(self, **filters: Any) -> List[Dict[str, Any]]:
        """Teams that the filters leave, of all pages."""
        return self._ask(_c.aicp_litellm_team_find, _text(filters)).json()

    def team_update(self, **fields: Any) -> Dict[str, Any]:
        """Changes a team; ``team_id`` names it."""
        return self._ask(_c.aicp_litellm_team_update, _text(fields)).json()

    def team_delete(self, team_id: str) -> Dict[str, Any]:
        """Deletes a team."""
        return self._ask(_c.aicp_litellm_team_delete, team_id).json()

    def team_delete_many(self, **fields: Any) -> Dict[str, Any]:
        """Deletes ``team_ids``."""
        return self._ask(_c.aicp_litellm_team_delete_many, _text(fields)).json()

    def team_block(self, team_id: str) -> Dict[str, Any]:
        """Blocks a team."""
        return self._ask(_c.aicp_litellm_team_block, team_id).json()

    def team_unblock(self, team_id: str) -> Dict[str, Any]:
        """Unblocks a team."""
        return self._ask(_c.aicp_litellm_team_unblock, team_id).json()

    def team_member_add(self, **fields: Any) -> Dict[str, Any]:
        """Adds ``member`` to the team ``team_id``."""
        return self._ask(_c.aicp_litellm_team_member_add, _text(fields)).json()

    def team_member_update(self, **fields: Any) -> Dict[str, Any]:
        """Changes a member of a team."""
        return self._ask(_c.aicp_litellm_team_member_update, _text(fields)).json()

    def team_member_delete(self, **fields: Any) -> Dict[str, Any]:
        """Takes a member out of a team."""
        return self._ask(_c.aicp_litellm_team_member_delete, _text(fields)).json()

    def team_model_add(self, **fields: Any) -> Dict[str, Any]:
        """Adds ``models`` to the team ``team_id``."""
        return self._ask(_c.aicp_litellm_team_model_add, _text(fields)).json()

    def team_model_delete(self, **fields: Any) -> Dict[str, Any]:
        """Takes ``models`` from the team ``team_id``."""
        return self._ask(_c.aicp_litellm_team_model_delete, _text(fields)).json()

    def user_new(self, **fields: Any) -> Dict[str, Any]:
        """Makes a user."""
        return self._ask(_c.aicp_litellm_user_new, _text(fields)).json()

    def user_find(self, **filters: Any) -> List[Dict[str, Any]]:
        """Users that the filters leave, of all pages."""
        return self._ask(_c.aicp_litellm_user_find, _text(filters)).json()

    def user_info(self, user_id: str) -> Dict[str, Any]:
        """What is known of a user."""
        return self._ask(_c.aicp_litellm_user_info, user_id).json()

    def user_update(self, **fields: Any) -> Dict[str, Any]:
        """Changes a user; ``user_id`` names it."""
        return self._ask(_c.aicp_litellm_user_update, _text(fields)).json()

    def user_delete(self, user_id: str) -> int:
        """Deletes a user; the count of those deleted."""
        return self._ask(_c.aicp_litellm_user_delete, user_id).json()

    def user_delete_many(self, **fields: Any) -> int:
        """Deletes ``user_ids``; the count of those deleted."""
        return self._ask(_c.aicp_litellm_user_delete_many, _text(fields)).json()

    def customer_new(self, **fields: Any) -> Dict[str, Any]:
        """Makes a customer, an end user of callers."""
        return self._ask(_c.aicp_litellm_customer_new, _text(fields)).json()

    def customer_list(self) -> List[Dict[str, Any]]:
        """All customers."""
        return self._ask(_c.aicp_litellm_customer_list).json()

    def customer_info(self, user_id: str) -> Dict[str, Any]:
        """What is known of a customer."""
        return self._ask(_c.aicp_litellm_customer_info, user_id).json()

    def customer_update(self, **fields: Any) -> Dict[str, Any]:
        """Changes a customer; ``user_id`` names it."""
        return self._ask(_c.aicp_litellm_customer_update, _text(fields)).json()

    def customer_delete(self, user_id: str) -> Dict[str, Any]:
        """Deletes a customer."""
        return self._ask(_c.aicp_litellm_customer_delete, user_id).json()

    def budget_new(self, **fields: Any) -> Dict[str, Any]:
        """Makes a budget."""
        return self._ask(_c.aicp_litellm_budget_new, _text(fields)).json()

    def budget_list(self) -> List[Dict[str, Any]]:
        """All budgets."""
        return self._ask(_c.aicp_litellm_budget_list).json()

    def budget_info(self, budget_id: str) -> List[Dict[str, Any]]:
        """The budget of an id, in a list."""
        return self._ask(_c.aicp_litellm_budget_info, budget_id).json()

    def budget_settings(self, budget_id: str) -> List[Dict[str, Any]]:
        """The fields of a budget with their descriptions."""
        return self._ask(_c.aicp_litellm_budget_settings, budget_id).json()

    def budget_update(self, **fields: Any) -> Dict[str, Any]:
        """Changes a budget; ``budget_id`` names it."""
        return self._ask(_c.aicp_litellm_budget_update, _text(fields)).json()

    def budget_delete(self, budget_id: str) -> Dict[str, Any]:
        """Deletes a budget; its record."""
        return self._ask(_c.aicp_litellm_budget_delete, budget_id).json()

    def spend_logs(self, **filters: Any) -> List[Dict[str, Any]]:
        """Calls from ``start_date`` to ``end_date``, of all pages."""
        return self._ask(_c.aicp_litellm_spend_logs, _text(filters)).json()

    def spend_days(self, **filters: Any) -> List[Dict[str, Any]]:
        """Spend per day and key."""
        return self._ask(_c.aicp_litellm_spend_days, _text(filters)).json()

    def spend_keys(self, **filters: Any) -> List[Dict[str, Any]]:
        """Keys by spend."""
        return self._ask(_c.aicp_litellm_spend_keys, _text(filters)).json()

    def spend_users(self, **filters: Any) -> List[Dict[str, Any]]:
        """Users by spend."""
        return self._ask(_c.aicp_litellm_spend_users, _text(filters)).json()

    def spend_tags(self, **filters: Any) -> List[Dict[str, Any]]:
        """Spend per tag."""
        return self._ask(_c.aicp_litellm_spend_tags, _text(filters)).json()

    def spend_calculate(self, **fields: Any) -> Dict[str, Any]:
        """What a call costs, ``cost`` in dollars."""
        return self._ask(_c.aicp_litellm_spend_calculate, _text(fields)).json()

    def token_count(self, **fields: Any) -> Dict[str, Any]:
        """How many tokens a text has."""
        return self._ask(_c.aicp_litellm_token_count, _text(fields)).json()

    def global_spend(self) -> Dict[str, Any]:
        """Spend of all."""
        return self._ask(_c.aicp_litellm_global_spend).json()

    def global_spend_logs(self, **filters: Any) -> List[Dict[str, Any]]:
        """Spend of all per day."""
        return self._ask(_c.aicp_litellm_global_spend_logs, _text(filters)).json()

    def global_spend_keys(self, **filters: Any) -> List[Dict[str, Any]]:
        """The keys that spent most."""
        return self._ask(_c.aicp_litellm_global_spend_keys, _text(filters)).json()

    def global_spend_models(self, **filters: Any) -> List[Dict[str, Any]]:
        """The models that cost most."""
        return self._ask(_c.aicp_litellm_global_spend_models, _text(filters)).json()

    def global_spend_teams(self) -> Dict[str, Any]:
        """Spend per team."""
        return self._ask(_c.aicp_litellm_global_spend_teams).json()

    def global_spend_providers(self, **filters: Any) -> List[Dict[str, Any]]:
        """Spend per provider."""
        return self._ask(_c.aicp_litellm_global_spend_providers, _text(filters)).json()

    def global_spend_tags(self, **filters: Any) -> Dict[str, Any]:
        """Spend per tag."""
        return self._ask(_c.aicp_litellm_global_spend_tags, _text(filters)).json()

    def global_activity(self, **filters: Any) -> Dict[str, Any]:
        """Requests and tokens per day."""
        return self._ask(_c.aicp_litellm_global_activity, _text(filters)).json()

    def global_activity_models(self, **filters: Any) -> List[Dict[str, Any]]:
        """Requests and tokens per day and model."""
        return self._ask(_c.aicp_litellm_global_activity_models, _text(filters)).json()

    def activity(self, **filters: Any) -> Dict[str, Any]:
        """Spend, tokens and requests per day with their breakdown."""
        return self._ask(_c.aicp_litellm_activity, _text(filters)).json()

    def activity_days(self, **filters: Any) -> List[Dict[str, Any]]:
        """The same in pages, of all pages."""
        return self._ask(_c.aicp_litellm_activity_days, _text(filters)).json()

    def team_activity_days(self, **filters: Any) -> List[Dict[str, Any]]:
        """The same by team."""
        return self._ask(_c.aicp_litellm_team_activity_days, _text(filters)).json()

    def customer_activity_days(self, **filters: Any) -> List[Dict[str, Any]]:
        """The same by end user."""
        return self._ask(_c.aicp_litellm_customer_activity_days, _text(filters)).json()

    def router_settings(self) -> Dict[str, Any]:
        """The router's settings."""
        return self._ask(_c.aicp_litellm_router_settings).json()

    def config_update(self, **fields: Any) -> Dict[str, Any]:
        """Changes settings of the proxy."""
        return self._ask(_c.aicp_litellm_config_update, _text(fields)).json()

    def config_callbacks(self) -> Dict[str, Any]:
        """The callbacks and the router's settings that are in force."""
        return self._ask(_c.aicp_litellm_config_callbacks).json()

    def config_list(self, **filters: Any) -> List[Dict[str, Any]]:
        """Fields of the configuration with their values."""
        return self._ask(_c.aicp_litellm_config_list, _text(filters)).json()

    def fallback_set(self, **fields: Any) -> Dict[str, Any]:
        """Sets the ``fallback_models`` of ``model``."""
        return self._ask(_c.aicp_litellm_fallback_set, _text(fields)).json()

    def fallback_get(self, model: str) -> Dict[str, Any]:
        """The fallbacks of a model."""
        return self._ask(_c.aicp_litellm_fallback_get, model).json()

    def fallback_delete(self, model: str) -> Dict[str, Any]:
        """Takes a model's fallbacks away."""
        return self._ask(_c.aicp_litellm_fallback_delete, model).json()

    def cache_settings(self) -> Dict[str, Any]:
        """The cache's settings."""
        return self._ask(_c.aicp_litellm_cache_settings).json()

    def cache_settings_update(self, **fields: Any) -> Dict[str, Any]:
        """Changes the cache's settings."""
        return self._ask(_c.aicp_litellm_cache_settings_update, _text(fields)).json()

    def cache_ping(self) -> Dict[str, Any]:
        """Whether the cache answers."""
        return self._ask(_c.aicp_litellm_cache_ping).json()

    def guardrails(self) -> Dict[str, Any]:
        """The proxy's guardrails."""
        return self._ask(_c.aicp_litellm_guardrails).json()

    def guardrail_apply(self, **fields: Any) -> Dict[str, Any]:
        """Runs a guardrail over a text."""
        return self._ask(_c.aicp_litellm_guardrail_apply, _text(fields)).json()

    def chat(self, request: Body) -> Reply:
        """A chat completion, answered whole."""
        return self._ask(_c.aicp_litellm_chat, _text(request))

    def completion(self, request: Body) -> Reply:
        """A text completion, answered whole."""
        return self._ask(_c.aicp_litellm_completion, _text(request))

    def response(self, request: Body) -> Reply:
        """A response, answered whole."""
        return self._ask(_c.aicp_litellm_response, _text(request))

    def message(self, request: Body) -> Reply:
        """A message in Anthropic's shape, answered whole."""
        return self._ask(_c.aicp_litellm_message, _text(request))

    def embedding(self, request: Body) -> Reply:
        """Embeddings, answered whole."""
        return self._ask(_c.aicp_litellm_embedding, _text(request))

    def stream(self, path: str, request: Body, each: Callable[[Dict[str, Any]], Any]) -> Reply:
        """A streamed answer of any path; ``each`` gets every event, and ends the stream by raising."""

        def event(data: bytes) -> None:
            each(json.loads(data))

        body = json.loads(request) if isinstance(request, (str, bytes)) else dict(request)
        body["stream"] = True
        if path == "/v1/chat/completions":
            return self._ask(_c.aicp_litellm_chat_stream, json.dumps(body), event)
        if path == "/v1/responses":
            return self._ask(_c.aicp_litellm_response_stream, json.dumps(body), event)
        return self._ask(_c.aicp_litellm_stream, path, json.dumps(body), event)

    def chat_stream(self, request: Body, each: Callable[[Dict[str, Any]], Any]) -> Reply:
        """A streamed chat completion; ``each`` gets every event, and ends the stream by raising."""
        return self.stream("/v1/chat/completions", request, each)

    def response_stream(self, request: Body, each: Callable[[Dict[str, Any]], Any]) -> Reply:
        """A streamed response, as before."""
        return self.stream("/v1/responses", request, each)
