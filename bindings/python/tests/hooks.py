"""Calls of the handler's hooks, with the real litellm package and a gate that answers as the test says."""

import asyncio

import pytest

litellm = pytest.importorskip("litellm")
pytest.importorskip("fastapi")

from litellm.proxy._types import UserAPIKeyAuth  # noqa: E402
from litellm.types.utils import Delta, ModelResponse, ModelResponseStream, StreamingChoices, Usage  # noqa: E402

from aicp.litellm import AicpGuardrail, Settings  # noqa: E402
from fakes import failure  # noqa: E402

USER = UserAPIKeyAuth(
    api_key="a" * 64, key_alias="ci", user_id="ann", team_id="blue", org_id="acme", end_user_id="eve"
)


def handler(gate, **settings):
    made = AicpGuardrail(
        guardrail_name="aicp",
        event_hook=["pre_call", "post_call"],
        default_on=True,
        settings=Settings(**settings),
        opener=lambda _: gate,
        api_key="unused default of another guardrail",
    )
    return made


def request(**more):
    return {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "mail bob@example.com"}],
        "metadata": {"tags": ["t1"], "requester_ip_address": "10.0.0.9"},
        "litellm_call_id": "call-1",
        "litellm_logging_obj": object(),
        "proxy_server_request": {"headers": {"user-agent": "x"}, "body": {}},
        **more,
    }


def run(coroutine):
    return asyncio.run(coroutine)


def pre(guard, data, call_type="acompletion", user=USER):
    return run(guard.async_pre_call_hook(user, None, data, call_type))


def answer(text):
    made = ModelResponse(model="gpt-4o", choices=[{"message": {"role": "assistant", "content": text}}])
    made.usage = Usage(prompt_tokens=20, completion_tokens=5, total_tokens=25)
    return made


def chunk(text=None, finish=None, role=None, usage=None):
    made = ModelResponseStream(
        choices=[StreamingChoices(index=0, delta=Delta(content=text, role=role), finish_reason=finish)]
    )
    if usage:
        made.usage = usage
    return made


async def stream_of(*chunks):
    for item in chunks:
        yield item


def drain(guard, data, *chunks, stop_after=None):
    async def go():
        out = []
        source = guard.async_post_call_streaming_iterator_hook(USER, stream_of(*chunks), data)
        try:
            async for item in source:
                out.append(item)
                if stop_after is not None and len(out) >= stop_after:
                    break
        finally:
            await source.aclose()
        return out

    return run(go())


def text_of(chunks):
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def log_success(guard, data, response=None, **kwargs):
    kwargs.setdefault("litellm_params", {"metadata": data["metadata"]})
    run(guard.async_log_success_event(kwargs, response or answer("x"), None, None))


# What is wrong without the gate being away.
NO_OUTAGES = [failure("ERR_INVALID", 2), failure("ERR_STATE", 10), RuntimeError("bug")]
