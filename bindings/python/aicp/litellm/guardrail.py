"""The guardrail class that LiteLLM loads. See the package's README for what each hook does."""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import logging
import sys
from typing import Any, AsyncGenerator, Callable, Dict, List, NoReturn, Optional

from fastapi import HTTPException
from litellm.integrations.custom_guardrail import CustomGuardrail

from ..errors import (
    AicpError,
    BundleError,
    DeadlineError,
    InputOutputError,
    NetworkError,
    StoreError,
    WouldBlockError,
)
from . import answers
from .calls import Call, Calls
from .identity import action_of, call_id_of, payload_of, subject_of, to_json
from .runtime import Runtime
from .settings import Settings
from .stream import Refused, Rewriter

log = logging.getLogger("aicp.litellm")

# Bodies longer than this are looked at in a thread, so that other requests go on meanwhile.
_LONG_BYTES = 64 * 1024
# An answer that ended is settled with what was seen when LiteLLM's log event stays away.
_LOG_EVENT_SECONDS = 10.0
_RENEW_SECONDS = 60.0
# A model that writes faster than its answer is passed on never lets the event loop go by itself.
_SHARE_SECONDS = 0.005
# Failures that a request cannot bring about by itself. Only these may let calls pass unchecked in
# the open mode: else a caller would get past the gate with a name that is too long.
_OUTAGES = (StoreError, NetworkError, DeadlineError, WouldBlockError, InputOutputError, BundleError)
_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


class AicpGuardrail(CustomGuardrail):
    """Puts every call of the proxy through the gate of libaicp."""

    use_native_lifecycle_hooks = True

    def __init__(self, **kwargs: Any) -> None:
        settings = kwargs.pop("settings", None)
        opener = kwargs.pop("opener", None)
        super().__init__(**kwargs)
        self.runtime = Runtime(settings or Settings.from_env(), opener)
        self.runtime.start()
        self.calls = Calls()
        self.counters = {"checked": 0, "refused": 0, "failed_open": 0, "failed_closed": 0}
        atexit.register(self.shutdown)
        _before_proxy_ends(self.shutdown)

    # -- may this call run ------------------------------------------------------------------------

    def should_run_guardrail(self, data: Any, event_type: Any) -> bool:
        """With ``default_on`` nobody opts out: the keys of those who are governed could say so."""
        if getattr(self, "default_on", False) is True and not isinstance(data, str):
            return bool(self._event_hook_is_event_type(event_type))
        return super().should_run_guardrail(data=data, event_type=event_type)

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: Dict[str, Any], call_type: Any
    ) -> Any:
        """Asks the gate; refuses, or changes the request as the gate says."""
        action = action_of(call_type)
        if action is None and "model" not in data:
            return data
        known = self.calls.find(data)
        if known is not None and not known.settled:
            return data  # asked already, in another hook of the same call
        _no_other_body(data)
        try:
            body = payload_of(data)
            decision = await self._check(
                to_json(body),
                action=action or "chat",
                call_id=call_id_of(data),
                **subject_of(user_api_key_dict, data),
            )
        except Exception as error:  # whatever it is: it must not become a way around the gate
            self._cannot_decide(error, data)
            return data
        self.counters["checked"] += 1
        call = Call(decision)
        if not decision.allowed:
            self.counters["refused"] += 1
            decision.close()
            _refuse(call)
        if decision.body is not None:
            _patch(data, body, decision.body)
        self.calls.add(call, data)
        return data

    async def _check(self, body: bytes, **request: Any) -> Any:
        gate = self.runtime.ready or await self.runtime.in_thread(self.runtime.open)
        if len(body) > _LONG_BYTES:
            wait = self.runtime.settings.wait_seconds
            return await self.runtime.in_thread(gate.check, body, wait=wait, **request)
        return await self.runtime.ask(gate.check, body, **request)

    def _cannot_decide(self, error: Exception, data: Dict[str, Any]) -> None:
        name = getattr(error, "name", "") or type(error).__name__
        if not self._may_pass(error):
            self.counters["failed_closed"] += 1
            log.error("a call is refused because the gate cannot decide: %s", error)
            _fail_closed(name)
        self.counters["failed_open"] += 1
        log.warning("a call passes UNCHECKED because the gate cannot decide: %s", error)
        self.calls.add(Call(None, fail_open=name), data)

    def _may_pass(self, error: Exception) -> bool:
        """Whether the open mode lets something pass though it failed: for an outage, never for a
        refusal, a wrong argument or a mistake of ours."""
        if not isinstance(error, AicpError):
            log.error("the gate failed unexpectedly", exc_info=error)
        return self.runtime.settings.fail_open and isinstance(error, _OUTAGES)

    # -- may it go to this model ------------------------------------------------------------------

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: List[Any],
        messages: Any,
        request_kwargs: Optional[Dict[str, Any]] = None,
        parent_otel_span: Any = None,
    ) -> List[Any]:
        """Leaves out every deployment of a model that the call may not reach: a fallback is not a
        way around the rules, nor to more money than was reserved."""
        call = self.calls.find(request_kwargs)
        if call is None or call.decision is None or not healthy_deployments:
            return healthy_deployments
        if model == call.decision.model:
            return healthy_deployments
        if model not in call.candidates:
            try:
                allowed = await self.runtime.ask(call.decision.candidate, model)
            except Exception as error:
                allowed = self._may_pass(error)
                log.error("no answer whether %s may be used, so it is %s: %s", model, allowed, error)
            call.candidates[model] = bool(allowed)
        return healthy_deployments if call.candidates[model] else []

    # -- answers ----------------------------------------------------------------------------------

    async def async_post_call_success_hook(
        self, data: Dict[str, Any], user_api_key_dict: Any, response: Any
    ) -> Any:
        """Scans a whole answer and puts back what was anonymised in the request."""
        call = self.calls.find(data)
        if call is None or call.decision is None:
            return response
        call.answered = True
        usage = answers.usage_of(response)
        call.usage = usage if usage is not None else call.usage
        self._expect_log_event(call)
        plain = answers.dump(response)
        if plain is None:
            return response
        body = to_json(plain)
        try:
            if len(body) > _LONG_BYTES:
                output = await self.runtime.in_thread(call.decision.output, body)
            else:
                output = call.decision.output(body)
        except Exception as error:
            self._cannot_scan(error)
            return response
        if not output.allowed:
            self.counters["refused"] += 1
            _refuse(call)
        if output.data is not None:
            answers.merge(response, json.loads(output.data))
        return response

    def _cannot_scan(self, error: Exception) -> None:
        if not self._may_pass(error):
            self.counters["failed_closed"] += 1
            log.error("an answer is withheld because it cannot be scanned: %s", error)
            _fail_closed(getattr(error, "name", "") or type(error).__name__)
        self.counters["failed_open"] += 1
        log.warning("an answer passes UNSCANNED: %s", error)

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: Dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Scans and restores a streamed answer while it goes by."""
        call = self.calls.find(request_data)
        if call is None or call.decision is None:
            async for chunk in response:
                yield chunk
            return
        rewriter = Rewriter(call.decision)
        loop = asyncio.get_running_loop()
        renewed = shared = loop.time()
        ended = False
        try:
            async for chunk in response:
                call.answered = True
                for out in rewriter.feed(chunk):
                    yield out
                now = loop.time()
                if now - shared > _SHARE_SECONDS:
                    await asyncio.sleep(0)  # others' turn; a caller that has left is noticed too
                    shared = loop.time()
                if now - renewed > _RENEW_SECONDS:
                    renewed = now
                    self._renew(call)
            for out in rewriter.finish():
                yield out
            ended = True
        except Refused:
            self.counters["refused"] += 1
            _refuse(call)
        except AicpError as error:  # the part held back is lost, so it ends here in either mode
            self.counters["failed_closed"] += 1
            log.error("a streamed answer ends early because it cannot be scanned: %s", error)
            _fail_closed(error.name)
        finally:
            call.usage = rewriter.usage
            call.written = rewriter.written
            if ended:
                self._expect_log_event(call)
            elif call.answered:
                self.calls.settle(call)  # the client went away, or the answer broke off
            else:
                self.calls.release(call)

    def _expect_log_event(self, call: Call) -> None:
        """LiteLLM logs soon what the call cost; without that it is booked by what was seen."""
        asyncio.get_running_loop().call_later(_LOG_EVENT_SECONDS, self.calls.settle, call)

    def _renew(self, call: Call) -> None:
        try:
            call.decision.renew()
        except AicpError as error:
            log.warning("reservation of call %s could not be renewed: %s", call.decision.id, error)

    async def async_post_call_response_headers_hook(
        self,
        data: Dict[str, Any],
        user_api_key_dict: Any,
        response: Any,
        request_headers: Optional[Dict[str, str]] = None,
        litellm_call_info: Optional[Dict[str, Any]] = None,
    ) -> Optional[Dict[str, str]]:
        """Headers that tell the caller what the gate did."""
        call = self.calls.find(data)
        return call.headers if call is not None else None

    # -- the end ----------------------------------------------------------------------------------

    async def async_log_success_event(
        self, kwargs: Dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """The final success, after all retries and fallbacks: books what the call really cost."""
        call = self.calls.find_logged(kwargs)
        if call is None or call.decision is None or call.settled:
            return
        if kwargs.get("cache_hit") is True:
            call.usage = {}
            self.calls.settle(call, 0)
            return
        usage = answers.usage_of(response_obj)
        call.usage = usage if usage is not None else call.usage
        payload = kwargs.get("standard_logging_object")
        payload = payload if isinstance(payload, dict) else {}
        self._served_by(call, payload.get("model_group"))
        cost = answers.nano_of(kwargs.get("response_cost"))
        if cost is None:
            cost = answers.nano_of(payload.get("response_cost"))
        self.calls.settle(call, cost)

    def _served_by(self, call: Call, model: Any) -> None:
        if isinstance(model, str) and model and model != call.decision.model:
            try:
                call.decision.served_by(model)
            except AicpError as error:
                log.warning("call %s went to %s: %s", call.decision.id, model, error)

    async def async_post_call_failure_hook(
        self,
        request_data: Dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,
        traceback_str: Optional[str] = None,
    ) -> Optional[HTTPException]:
        """The final failure: gives back what was reserved, unless the model has answered."""
        call = self.calls.find(request_data)
        if call is not None and not call.settled:
            if call.answered:
                self.calls.settle(call)
            else:
                self.calls.release(call)
        return None

    def shutdown(self) -> None:
        """Ends what is under way and closes the gate of this process."""
        self.calls.close()
        self.runtime.close()

    # -- for operators ----------------------------------------------------------------------------

    def metrics(self) -> Dict[str, Any]:
        """Counters of the handler and of its gate, in this process."""
        gate = self.runtime.ready
        return {
            "fail_mode": "open" if self.runtime.settings.fail_open else "closed",
            "in_flight": len(self.calls),
            **self.counters,
            **self.calls.counters,
            "gate": gate.metrics() if gate is not None else None,
        }


def _before_proxy_ends(call: Callable[[], None]) -> None:
    """Has ``call`` run when the proxy shuts down. A proxy that is told to end by a signal dies of it
    in the end, so that ``atexit`` alone would not do."""
    server = sys.modules.get("litellm.proxy.proxy_server")
    end = getattr(server, "proxy_shutdown_event", None)
    if end is None:
        return

    @functools.wraps(end)
    async def ended(*args: Any, **kwargs: Any) -> Any:
        try:
            await asyncio.to_thread(call)
        except Exception:
            log.exception("the gate could not be closed")
        return await end(*args, **kwargs)

    server.proxy_shutdown_event = ended  # type: ignore[union-attr]


def _no_other_body(data: Dict[str, Any]) -> None:
    """LiteLLM puts the members of a fallback {"model": …, "messages": …} over those of the request
    that was checked: a caller may name models only."""
    for name in _FALLBACKS:
        entries = data.get(name)
        for entry in entries if isinstance(entries, list) else []:
            others = entry.values() if isinstance(entry, dict) and "model" not in entry else [[entry]]
            for models in others:
                for model in models if isinstance(models, list) else [models]:
                    if isinstance(model, dict) and set(model) != {"model"}:
                        _refuse_shape(f"{name} may name models, but not change the request")


def _refuse_shape(message: str) -> NoReturn:
    raise HTTPException(
        status_code=400,
        detail={
            "error": message,
            "message": message,
            "type": "invalid_request_error",
            "code": "invalid_request_error",
        },
    )


def _patch(data: Dict[str, Any], sent: Dict[str, Any], body: bytes) -> None:
    """Takes over what the gate changed in the body."""
    new = json.loads(body)
    old = json.loads(to_json(sent))
    for key, value in new.items():
        if key not in old or old[key] != value:
            data[key] = value


def _refuse(call: Call) -> NoReturn:
    decision = call.decision
    raise HTTPException(
        status_code=decision.http_status,
        detail={
            "error": decision.message,
            "message": decision.message,
            "type": decision.type,
            "code": decision.type,
            "step": decision.step,
            "rule": decision.rule,
            "advice": decision.advice,
            "decision_id": decision.id,
        },
        headers=dict(call.headers),
    )


def _fail_closed(name: str) -> NoReturn:
    message = "The request cannot be checked at the moment, and unchecked requests are refused."
    raise HTTPException(
        status_code=503,
        detail={
            "error": message,
            "message": message,
            "type": "gate_unavailable",
            "code": "gate_unavailable",
            "cause": name,
        },
        headers={"Retry-After": "1", "x-aicp-fail-mode": "closed", "x-aicp-error": name},
    )
