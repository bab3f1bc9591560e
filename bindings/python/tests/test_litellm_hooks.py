"""The handler's hooks against the real litellm package, with a gate that answers as the test says."""

import asyncio
import json
import os
import threading

import pytest

litellm = pytest.importorskip("litellm")
pytest.importorskip("fastapi")

from fastapi import HTTPException  # noqa: E402
from litellm.integrations.custom_guardrail import CustomGuardrail  # noqa: E402
from litellm.integrations.custom_logger import CustomLogger  # noqa: E402
from litellm.proxy._types import UserAPIKeyAuth  # noqa: E402
from litellm.types.guardrails import GuardrailEventHooks  # noqa: E402
from litellm.types.utils import (  # noqa: E402
    Delta,
    ModelResponse,
    ModelResponseStream,
    StreamingChoices,
    Usage,
)

from aicp import AicpError  # noqa: E402
from aicp.litellm import AicpGuardrail, Settings  # noqa: E402
from fakes import Gate, failure  # noqa: E402

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


# -- how LiteLLM sees the class --------------------------------------------------------------------


def test_every_hook_is_overridden_in_the_class_itself():
    """LiteLLM looks for some hooks in the class's own __dict__ only."""
    hooks = """async_pre_call_hook async_filter_deployments async_post_call_success_hook
        async_post_call_streaming_iterator_hook async_post_call_response_headers_hook
        async_log_success_event async_post_call_failure_hook""".split()
    for name in hooks:
        assert name in AicpGuardrail.__dict__, name
        assert hasattr(CustomLogger, name), f"{name} is no hook of this LiteLLM"
    assert issubclass(AicpGuardrail, CustomGuardrail)
    assert "apply_guardrail" not in AicpGuardrail.__dict__


def test_litellm_loads_the_class_by_its_dotted_name(tmp_path):
    from litellm.proxy.types_utils.utils import get_instance_fn

    config = tmp_path / "config.yaml"
    config.write_text("")
    assert get_instance_fn("aicp.litellm.AicpGuardrail", str(config)) is AicpGuardrail


def test_nobody_opts_out_of_a_default_on_guardrail():
    guard = handler(Gate())
    data = request(metadata={"user_api_key_metadata": {"disable_global_guardrails": True}})
    assert guard.should_run_guardrail(data, GuardrailEventHooks.pre_call)
    assert guard.should_run_guardrail(data, GuardrailEventHooks.post_call)
    assert not guard.should_run_guardrail(data, GuardrailEventHooks.during_call)


# -- the check -------------------------------------------------------------------------------------


def test_check_gets_the_body_without_internals_and_the_whole_identity():
    gate = Gate()
    pre(handler(gate), request(temperature=0.5))
    body, wait, asked = gate.checks[0]
    assert body == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "mail bob@example.com"}],
        "temperature": 0.5,
    }
    assert wait == 0.0
    assert asked == {
        "action": "chat",
        "key": "a" * 64,
        "key_alias": "ci",
        "user": "ann",
        "team": "blue",
        "org": "acme",
        "end_user": "eve",
        "ip": "10.0.0.9",
        "source": "litellm",
        "tags": ["t1"],
        "call_id": "call-1",
    }


@pytest.mark.parametrize(
    "call_type,action",
    [
        ("acompletion", "chat"),
        ("anthropic_messages", "chat"),
        ("atext_completion", "complete"),
        ("aembedding", "embed"),
        ("aresponses", "respond"),
        ("aimage_generation", "image"),
        ("atranscription", "audio"),
        ("call_mcp_tool", "tool"),
    ],
)
def test_call_types_become_actions(call_type, action):
    gate = Gate()
    pre(handler(gate), request(), call_type)
    assert gate.checks[0][2]["action"] == action


def test_calls_without_a_model_are_not_asked_about():
    gate = Gate()
    pre(handler(gate), {"file_id": "f"}, "afile_retrieve")
    assert gate.checks == []


def test_an_unknown_call_type_with_a_model_is_asked_about():
    gate = Gate()
    pre(handler(gate), request(), "a_new_kind_of_call")
    assert len(gate.checks) == 1


def test_a_call_id_chosen_by_the_caller_is_made_unique():
    gate = Gate()
    guard = handler(gate)
    for _ in range(2):
        chosen = {"headers": {"X-LiteLLM-Call-Id": "call-1"}}
        pre(guard, request(proxy_server_request=chosen))
    first, second = (asked["call_id"] for _, _, asked in gate.checks)
    assert first != second and first.startswith("call-1.")


def test_a_forged_token_does_not_skip_the_check():
    gate = Gate()
    pre(handler(gate), request(metadata={"aicp_call": "forged"}))
    assert len(gate.checks) == 1


def test_the_same_request_is_asked_about_once():
    gate = Gate()
    guard = handler(gate)
    data = pre(guard, request())
    pre(guard, data)
    assert len(gate.checks) == 1


def test_refusal_has_status_detail_and_headers():
    gate = Gate(
        {
            "allowed": False,
            "http_status": 429,
            "step": "limits",
            "rule": "team-rpm",
            "type": "rate_limit_exceeded",
            "message": "Team blue may send 5 requests a minute.",
            "advice": "Wait 12 seconds.",
            "headers": {"Retry-After": "12", "RateLimit": '"team-rpm";r=0;t=12'},
        }
    )
    guard = handler(gate)
    with pytest.raises(HTTPException) as caught:
        pre(guard, request())
    error = caught.value
    assert error.status_code == 429
    assert error.detail["error"] == error.detail["message"] == "Team blue may send 5 requests a minute."
    assert error.detail["type"] == "rate_limit_exceeded"
    assert error.detail["rule"] == "team-rpm"
    assert error.detail["advice"] == "Wait 12 seconds."
    assert error.headers["Retry-After"] == "12"
    assert error.headers["x-aicp-decision-id"] == "call-1"
    assert error.headers["x-aicp-gate-us"] == "81.2"
    json.dumps(error.detail)
    assert len(guard.calls) == 0


def test_patches_reach_the_request():
    changed = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "mail <EMAIL_ADDRESS_1>"}],
        "max_tokens": 64,
    }
    guard = handler(Gate({"body": json.dumps(changed).encode(), "max_tokens": 64}))
    data = pre(guard, request())
    assert data["model"] == "gpt-4o-mini"
    assert data["messages"][0]["content"] == "mail <EMAIL_ADDRESS_1>"
    assert data["max_tokens"] == 64
    assert data["metadata"]["tags"] == ["t1"]


def test_an_unchanged_body_leaves_the_request_alone():
    data = request()
    messages = data["messages"]
    assert pre(handler(Gate()), data)["messages"] is messages


# -- waiting ---------------------------------------------------------------------------------------


def test_waiting_happens_in_a_thread_and_ends():
    gate = Gate(failure("ERR_WOULD_BLOCK", 11))
    threads = []
    check = gate.check

    def noted(body, **more):
        threads.append(threading.current_thread())
        return check(body, **more)

    gate.check = noted
    pre(handler(gate, wait_seconds=1.5), request())
    assert [wait for _, wait, _ in gate.checks] == [0.0, 1.5]
    assert threads[0] is threading.main_thread()
    assert threads[1] is not threading.main_thread()


def test_long_bodies_are_checked_in_a_thread():
    gate = Gate()
    seen = []
    check = gate.check
    gate.check = lambda body, **more: (seen.append(threading.current_thread()), check(body, **more))[1]
    pre(handler(gate), request(messages=[{"role": "user", "content": "x" * 100_000}]))
    assert seen[0] is not threading.main_thread()


# -- when the gate cannot decide -------------------------------------------------------------------


@pytest.mark.parametrize("error", [failure(), RuntimeError("bug"), failure("ERR_BUNDLE", 900)])
def test_closed_refuses_with_503(error):
    guard = handler(Gate(error))
    with pytest.raises(HTTPException) as caught:
        pre(guard, request())
    assert caught.value.status_code == 503
    assert caught.value.detail["type"] == "gate_unavailable"
    assert caught.value.headers["x-aicp-fail-mode"] == "closed"
    assert guard.metrics()["failed_closed"] == 1


def test_open_passes_and_says_so(caplog):
    guard = handler(Gate(failure()), fail_open=True)
    data = pre(guard, request())
    headers = run(guard.async_post_call_response_headers_hook(data, USER, None))
    assert headers == {"x-aicp-fail-mode": "open", "x-aicp-error": "ERR_STORE"}
    assert guard.metrics()["failed_open"] == 1
    assert "UNCHECKED" in caplog.text
    same = answer("text")
    assert run(guard.async_post_call_success_hook(data, USER, same)) is same


def test_a_gate_that_cannot_be_opened_refuses_then_recovers():
    tries = []

    def opener(_):
        tries.append(1)
        if len(tries) == 1:
            raise failure("ERR_BUNDLE", 900)
        return Gate()

    guard = AicpGuardrail(settings=Settings(), opener=opener, guardrail_name="aicp")
    for _ in range(2):  # the second within the pause: no new try
        with pytest.raises(HTTPException):
            pre(guard, request())
    assert len(tries) == 1
    guard.runtime._failed_at -= 2
    pre(guard, request())
    assert len(tries) == 2


def test_the_gate_opens_when_the_handler_is_made():
    opened = threading.Event()

    def opener(_):
        opened.set()
        return Gate()

    guard = AicpGuardrail(settings=Settings(), opener=opener, guardrail_name="aicp")
    assert opened.wait(10), "no request was needed"
    assert guard.runtime.open() is guard.runtime.ready


def test_a_wrong_bundle_shows_in_the_log_at_start(caplog):
    tried = threading.Event()

    def opener(_):
        tried.set()
        raise failure("ERR_BUNDLE", 900)

    guard = AicpGuardrail(settings=Settings(), opener=opener, guardrail_name="aicp")
    assert tried.wait(10)
    with pytest.raises(AicpError):
        guard.runtime.open()  # after the thread, which holds the lock
    guard.shutdown()
    assert [r.message for r in caplog.records].count("the gate cannot be opened: the store failed") == 1


@pytest.mark.parametrize("fail_open", [False, True])
def test_a_call_waits_for_a_gate_that_is_being_opened(fail_open):
    go_on = threading.Event()

    def opener(_):
        assert go_on.wait(10)
        return Gate()

    settings = Settings(fail_open=fail_open)
    guard = AicpGuardrail(settings=settings, opener=opener, guardrail_name="aicp")

    async def call():
        asked = asyncio.ensure_future(guard.async_pre_call_hook(USER, None, request(), "acompletion"))
        await asyncio.sleep(0.05)
        assert not asked.done() and guard.counters["failed_open"] == 0
        go_on.set()
        return await asked

    assert guard.calls.find(run(call())).decision is not None


def test_a_forked_worker_opens_its_own_gate():
    opened = []

    def opener(_):
        opened.append(os.getpid())
        return Gate()

    guard = AicpGuardrail(settings=Settings(), opener=opener, guardrail_name="aicp")
    parent = guard.runtime.open()
    child = os.fork()
    if child == 0:
        mine = guard.runtime.ready is None and guard.runtime.open() is not parent
        os._exit(0 if mine else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert guard.runtime.open() is parent


@pytest.mark.parametrize("error", [failure("ERR_LIMIT", 6), failure("ERR_INVALID", 2), ValueError()])
def test_what_a_caller_can_bring_about_never_opens_the_gate(error):
    guard = handler(Gate(error), fail_open=True)
    with pytest.raises(HTTPException) as caught:
        pre(guard, request())
    assert caught.value.status_code == 503
    assert guard.counters["failed_open"] == 0


def test_identity_is_cut_to_bytes_and_whole_characters():
    gate = Gate()
    more = {"tags": ["\u00e9" * 256], "requester_ip_address": "10.0.0.9"}
    caller = UserAPIKeyAuth(api_key="a" * 64, end_user_id="\u00e9" * 1024 + "\ud800")
    run(handler(gate).async_pre_call_hook(caller, None, request(metadata=more), "acompletion"))
    asked = gate.checks[0][2]
    assert asked["end_user"] == "\u00e9" * 512
    assert asked["tags"] == ["\u00e9" * 128]


def test_a_token_of_a_call_that_ended_opens_nothing():
    gate = Gate()
    guard = handler(gate)
    data = pre(guard, request())
    guard.calls.release(guard.calls.find(data))
    pre(guard, data)
    assert len(gate.checks) == 2


# -- fallbacks -------------------------------------------------------------------------------------


def candidates(guard, data, model):
    return run(guard.async_filter_deployments(model, [{"id": 1}, {"id": 2}], None, data, None))


def test_deployments_of_a_forbidden_fallback_are_left_out():
    guard = handler(Gate(candidates={"gpt-5": False, "small": True}))
    data = pre(guard, request())
    assert len(candidates(guard, data, "gpt-4o")) == 2
    assert candidates(guard, data, "gpt-5") == []
    assert len(candidates(guard, data, "small")) == 2
    decision = guard.runtime.ready.decisions[0]
    assert [model for model, _ in decision.asked] == ["gpt-5", "small"]


@pytest.mark.parametrize(
    "more",
    [
        {"fallbacks": [{"model": "small", "messages": []}]},
        {"fallbacks": [{"gpt-4o": [{"model": "small", "max_tokens": 9}]}]},
        {"context_window_fallbacks": [{"gpt-4o": [{"model": "small", "n": 9}]}]},
        {"content_policy_fallbacks": [{"gpt-4o": {"model": "small", "n": 9}}]},
    ],
)
def test_fallbacks_must_not_bring_another_body(more):
    gate = Gate()
    with pytest.raises(HTTPException) as caught:
        pre(handler(gate), request(**more))
    assert caught.value.status_code == 400
    assert not gate.checks


@pytest.mark.parametrize("more", [["small"], [{"gpt-4o": ["small"]}], [{"model": "small"}]])
def test_fallbacks_that_name_models_pass(more):
    assert pre(handler(Gate()), request(fallbacks=more))["fallbacks"] == more


def test_a_candidate_that_must_wait_is_asked_again_in_a_thread():
    guard = handler(Gate(candidates={"gpt-5": [failure("ERR_WOULD_BLOCK", 11), True]}))
    data = pre(guard, request())
    assert len(candidates(guard, data, "gpt-5")) == 2
    assert [wait for _, wait in guard.runtime.ready.decisions[0].asked] == [0.0, 2.0]


@pytest.mark.parametrize("fail_open,left", [(False, 0), (True, 2)])
def test_no_answer_about_a_candidate_follows_the_fail_mode(fail_open, left):
    guard = handler(Gate(candidates={"gpt-5": failure()}), fail_open=fail_open)
    data = pre(guard, request())
    assert len(candidates(guard, data, "gpt-5")) == left


NO_OUTAGES = [failure("ERR_INVALID", 2), failure("ERR_STATE", 10), RuntimeError("bug")]


@pytest.mark.parametrize("error", NO_OUTAGES)
def test_only_an_outage_opens_the_way_to_a_candidate(error):
    guard = handler(Gate(candidates={"gpt-5": error}), fail_open=True)
    data = pre(guard, request())
    assert candidates(guard, data, "gpt-5") == []


@pytest.mark.parametrize("error", NO_OUTAGES)
def test_only_an_outage_lets_an_answer_pass_unscanned(error):
    guard = handler(Gate(output=error), fail_open=True)
    data = pre(guard, request())
    with pytest.raises(HTTPException) as caught:
        run(guard.async_post_call_success_hook(data, USER, answer("x")))
    assert caught.value.status_code == 503
    assert guard.counters["failed_open"] == 0


def test_requests_of_others_are_not_touched():
    guard = handler(Gate())
    assert len(candidates(guard, {"metadata": {}}, "gpt-5")) == 2
    assert len(candidates(guard, None, "gpt-5")) == 2


# -- answers ---------------------------------------------------------------------------------------


def test_answer_is_restored_in_place():
    guard = handler(Gate())
    data = pre(guard, request())
    response = answer("written to <EMAIL_ADDRESS_1>")
    response._hidden_params = {"model_id": "m"}
    out = run(guard.async_post_call_success_hook(data, USER, response))
    assert out is response
    assert out.choices[0].message.content == "written to bob@example.com"
    assert out._hidden_params["model_id"] == "m"


def test_a_forbidden_answer_is_refused_and_paid():
    guard = handler(Gate())
    data = pre(guard, request())
    with pytest.raises(HTTPException) as caught:
        run(guard.async_post_call_success_hook(data, USER, answer("FORBIDDEN")))
    assert caught.value.status_code == 400
    run(guard.async_post_call_failure_hook(data, caught.value, USER))
    decision = guard.runtime.ready.decisions[0]
    assert decision.released == 0
    (usage, cost), = decision.settled
    assert (usage["prompt_tokens"], usage["completion_tokens"], cost) == (20, 5, None)


def test_an_answer_that_cannot_be_scanned_is_withheld():
    guard = handler(Gate(output=failure()))
    data = pre(guard, request())
    with pytest.raises(HTTPException) as caught:
        run(guard.async_post_call_success_hook(data, USER, answer("x")))
    assert caught.value.status_code == 503


def test_headers_tell_what_the_gate_did():
    guard = handler(Gate({"headers": {"RateLimit": "x"}, "finding_count": 2}))
    data = pre(guard, request())
    headers = run(guard.async_post_call_response_headers_hook(data, USER, None))
    assert headers == {
        "RateLimit": "x",
        "x-aicp-decision-id": "call-1",
        "x-aicp-gate-us": "81.2",
        "x-aicp-cost-estimate": "0.0000125",
        "x-aicp-findings": "2",
    }


# -- streams ---------------------------------------------------------------------------------------


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


def test_stream_is_restored_across_chunks():
    guard = handler(Gate())
    data = pre(guard, request())
    parts = [chunk("", role="assistant"), chunk("to <EMAIL_"), chunk("ADDRESS_"), chunk("1> ok"), chunk(finish="stop")]
    out = drain(guard, data, *parts)
    assert text_of(out) == "to bob@example.com ok"
    assert out[0].choices[0].delta.role == "assistant"
    assert out[-1].choices[0].finish_reason == "stop"
    assert parts[1].choices[0].delta.content == "to <EMAIL_", "LiteLLM's own chunk must stay"


def test_stream_without_an_end_gives_out_what_was_held():
    guard = handler(Gate())
    data = pre(guard, request())
    assert text_of(drain(guard, data, chunk("one two"))) == "one two"


def test_forbidden_stream_breaks_off_and_is_paid():
    guard = handler(Gate({"http_status": 400, "message": "no", "type": "guardrail_violation"}))
    data = pre(guard, request())
    with pytest.raises(HTTPException):
        drain(guard, data, chunk("good "), chunk("FORBIDDEN "), chunk("more"))
    decision = guard.runtime.ready.decisions[0]
    assert len(decision.settled) == 1 and decision.released == 0


def test_a_client_that_goes_away_pays_for_what_it_got(monkeypatch):
    monkeypatch.setattr("aicp.litellm.answers.count", lambda model, text: len(text.split()))
    guard = handler(Gate())
    data = pre(guard, request())
    drain(guard, data, chunk("one "), chunk("two "), chunk("three "), stop_after=2)
    (usage, cost), = guard.runtime.ready.decisions[0].settled
    assert usage == {"prompt_tokens": 11, "completion_tokens": 2}
    assert cost is None


def test_a_stream_that_ended_waits_for_the_log_event():
    guard = handler(Gate())
    data = pre(guard, request())
    final = chunk(usage=Usage(prompt_tokens=20, completion_tokens=3, total_tokens=23))
    drain(guard, data, chunk("one "), chunk(finish="stop"), final)
    decision = guard.runtime.ready.decisions[0]
    assert decision.settled == []
    log_success(guard, data, response_cost=0.00005)
    assert decision.settled[0][0]["prompt_tokens"] == 20
    assert decision.settled[0][1] == 50_000


def test_a_stream_settles_itself_when_no_log_event_comes(monkeypatch):
    monkeypatch.setattr("aicp.litellm.guardrail._LOG_EVENT_SECONDS", 0.01)
    guard = handler(Gate())
    data = pre(guard, request())
    final = chunk(usage=Usage(prompt_tokens=20, completion_tokens=3, total_tokens=23))

    async def go():
        async for _ in guard.async_post_call_streaming_iterator_hook(USER, stream_of(chunk("a "), final), data):
            pass
        for _ in range(200):
            await asyncio.sleep(0.01)
            if guard.runtime.ready.decisions[0].settled:
                return

    run(go())
    assert guard.runtime.ready.decisions[0].settled[0][0]["completion_tokens"] == 3


def test_a_stream_that_never_waits_lets_others_run(monkeypatch):
    monkeypatch.setattr("aicp.litellm.guardrail._SHARE_SECONDS", 0.0)
    guard = handler(Gate())
    data = pre(guard, request())
    turns = []

    async def other():
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def go():
        task = asyncio.create_task(other())
        chunks = [chunk(f"{i} ") for i in range(50)]
        async for _ in guard.async_post_call_streaming_iterator_hook(USER, stream_of(*chunks), data):
            pass
        task.cancel()

    run(go())
    assert len(turns) > 10


def test_a_stream_of_googles_form_is_restored_and_counted():
    guard = handler(Gate())
    data = pre(guard, request(), "agenerate_content_stream")

    def frame(text, ends=False, **more):
        candidate = {"content": {"parts": [{"text": text}] if text else [], "role": "model"}, "index": 0}
        if ends:
            candidate["finishReason"] = "STOP"
        return b"data: " + json.dumps({"candidates": [candidate], **more}).encode() + b"\r\n\r\n"

    told = {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 2}
    raw = frame("to <EMAIL_") + frame("ADDRESS_1> o") + frame("k") + frame("", True, usageMetadata=told)
    pieces = [raw[at : at + 30] for at in range(0, len(raw), 30)]
    out = b"".join(drain(guard, data, *pieces))
    events = [json.loads(part.removeprefix(b"data: ")) for part in out.split(b"\n\n") if part]
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    assert "".join(part["text"] for part in parts) == "to bob@example.com ok"
    log_success(guard, data, response_cost=None, response={"no": "usage"})
    assert guard.runtime.ready.decisions[0].settled == [({"prompt_tokens": 9, "completion_tokens": 6}, None)]


def test_a_usage_of_zeros_is_no_usage(monkeypatch):
    """LiteLLM says so for a streamed text completion whose usage it does not know."""
    monkeypatch.setattr("aicp.litellm.answers.count", lambda model, text: len(text.split()))
    guard = handler(Gate())
    data = pre(guard, request())
    zeros = Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
    drain(guard, data, chunk("one ", usage=zeros), chunk("two", finish="stop", usage=zeros))
    response = answer("one two")
    response.usage = zeros
    log_success(guard, data, response_cost=0.0, response=response)
    assert guard.runtime.ready.decisions[0].settled == [({"prompt_tokens": 11, "completion_tokens": 2}, None)]


def test_streamed_tool_arguments_are_restored():
    guard = handler(Gate())
    data = pre(guard, request())

    def call(text, name=None):
        function = {"arguments": text, "name": name}
        made = chunk()
        made.choices[0].delta = Delta(tool_calls=[{"index": 0, "id": "c", "type": "function", "function": function}])
        return made

    out = drain(guard, data, call('{"to": "<EMAIL_', "mail"), call('ADDRESS_1>"}'), chunk(finish="tool_calls"))
    arguments = "".join(
        t.function.arguments or "" for c in out for t in (c.choices[0].delta.tool_calls or [])
    )
    assert json.loads(arguments) == {"to": "bob@example.com"}


def test_anthropic_events_are_restored():
    guard = handler(Gate())
    data = pre(guard, request())

    def event(**fields):
        return f"event: {fields['type']}\ndata: {json.dumps(fields)}\n\n".encode()

    raw = b"".join(
        [
            event(type="message_start", message={"usage": {"input_tokens": 9, "output_tokens": 1}}),
            event(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
            event(type="content_block_delta", index=0, delta={"type": "text_delta", "text": "to <EMAIL_"}),
            event(type="content_block_delta", index=0, delta={"type": "text_delta", "text": "ADDRESS_1>"}),
            event(type="content_block_stop", index=0),
            event(type="message_delta", delta={}, usage={"output_tokens": 7}),
            event(type="message_stop"),
        ]
    )
    pieces = [raw[i : i + 37] for i in range(0, len(raw), 37)]
    out = b"".join(drain(guard, data, *pieces))
    events = [json.loads(f.split(b"data: ")[1]) for f in out.split(b"\n\n") if f]
    text = "".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta")
    assert text == "to bob@example.com"
    kinds = [e["type"] for e in events]
    assert kinds.index("content_block_stop") > max(
        i for i, k in enumerate(kinds) if k == "content_block_delta"
    )


def test_responses_events_are_restored():
    guard = handler(Gate())
    data = pre(guard, request(), "aresponses")

    def delta(text):
        return {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "i", "delta": text}

    done = {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "item_id": "i", "text": "to <EMAIL_ADDRESS_1>"}
    out = drain(guard, data, delta("to <EMAIL_"), delta("ADDRESS_1>"), done)
    assert "".join(e["delta"] for e in out if "delta" in e) == "to bob@example.com"
    assert out[-1]["text"] == "to bob@example.com"
    assert done["text"] == "to <EMAIL_ADDRESS_1>"


# -- the end ---------------------------------------------------------------------------------------


def log_success(guard, data, response=None, **kwargs):
    kwargs.setdefault("litellm_params", {"metadata": data["metadata"]})
    run(guard.async_log_success_event(kwargs, response or answer("x"), None, None))


def test_success_settles_with_litellms_cost():
    guard = handler(Gate())
    data = pre(guard, request())
    log_success(guard, data, response_cost=1.5e-06)
    (usage, cost), = guard.runtime.ready.decisions[0].settled
    assert cost == 1500
    assert usage["prompt_tokens"] == 20
    assert len(guard.calls) == 0


def test_success_without_cost_is_priced_by_the_gate():
    guard = handler(Gate())
    data = pre(guard, request())
    log_success(guard, data, response_cost=0.0, standard_logging_object={"response_cost": 0.0})
    assert guard.runtime.ready.decisions[0].settled[0][1] is None


def test_a_cache_hit_costs_nothing():
    guard = handler(Gate())
    data = pre(guard, request())
    log_success(guard, data, response_cost=0.5, cache_hit=True)
    assert guard.runtime.ready.decisions[0].settled == [({}, 0)]


def test_the_model_that_answered_is_told():
    guard = handler(Gate())
    data = pre(guard, request())
    log_success(guard, data, standard_logging_object={"model_group": "small"})
    assert guard.runtime.ready.decisions[0].served == "small"


def test_it_settles_once():
    guard = handler(Gate())
    data = pre(guard, request())
    log_success(guard, data, response_cost=1.0)
    log_success(guard, data, response_cost=2.0)
    run(guard.async_post_call_failure_hook(data, ValueError(), USER))
    decision = guard.runtime.ready.decisions[0]
    assert [cost for _, cost in decision.settled] == [1_000_000_000]
    assert decision.released == 0


def test_final_failure_releases():
    guard = handler(Gate())
    data = pre(guard, request())
    run(guard.async_post_call_failure_hook(data, ValueError("down"), USER))
    decision = guard.runtime.ready.decisions[0]
    assert decision.released == 1 and decision.settled == []
    assert run(guard.async_post_call_response_headers_hook(data, USER, None))["x-aicp-decision-id"]


def test_a_failed_attempt_does_not_release():
    guard = handler(Gate())
    data = pre(guard, request())
    kwargs = {"litellm_params": {"metadata": data["metadata"]}}
    run(guard.async_log_failure_event(kwargs, None, None, None))
    assert guard.runtime.ready.decisions[0].released == 0


def test_shutdown_ends_what_is_under_way():
    guard = handler(Gate())
    pre(guard, request())
    decision = guard.runtime.ready.decisions[0]
    guard.shutdown()
    assert decision.released == 1 and len(guard.calls) == 0


def test_the_proxys_own_end_is_heard(monkeypatch):
    """Uvicorn ends the process by the signal it got, so atexit does not run."""
    import sys
    import types

    ended = []

    async def end():
        ended.append("proxy")

    server = types.ModuleType("litellm.proxy.proxy_server")
    server.proxy_shutdown_event = end
    monkeypatch.setitem(sys.modules, "litellm.proxy.proxy_server", server)
    guard = handler(Gate())
    pre(guard, request())
    decision = guard.runtime.ready.decisions[0]
    run(server.proxy_shutdown_event())
    assert ended == ["proxy"] and decision.released == 1


def test_an_answer_without_log_event_is_settled(monkeypatch):
    monkeypatch.setattr("aicp.litellm.guardrail._LOG_EVENT_SECONDS", 0.01)
    guard = handler(Gate())
    data = pre(guard, request())

    async def go():
        await guard.async_post_call_success_hook(data, USER, answer("x"))
        for _ in range(200):
            await asyncio.sleep(0.01)
            if guard.runtime.ready.decisions[0].settled:
                return

    run(go())
    assert guard.runtime.ready.decisions[0].settled[0][0]["completion_tokens"] == 5


def test_the_metadata_stays_json():
    data = pre(handler(Gate()), request())
    json.dumps(data["metadata"])


# -- settings --------------------------------------------------------------------------------------


def test_settings_from_the_environment():
    env = {
        "AICP_BUNDLE": "/b",
        "AICP_STORE": "sqlite:///x",
        "AICP_NODE": "n",
        "AICP_EVENTS": "/e",
        "AICP_FAIL_MODE": "Open",
        "AICP_WAIT_MS": "500",
        "AICP_RATES": "redis://r",
        "AICP_SERVICE_KEY": "secret",
        "AICP_BUNDLE_CACHE": "/c",
    }
    made = Settings.from_env(env)
    assert made == Settings("/b", "sqlite:///x", "n", "/e", True, 0.5, 4, "redis://r", "secret", "/c")
    assert "secret" not in repr(made)
    assert Settings.from_env({}) == Settings()


@pytest.mark.parametrize("env", [{"AICP_FAIL_MODE": "maybe"}, {"AICP_WAIT_MS": "0"}, {"AICP_THREADS": "x"}])
def test_senseless_settings_are_errors(env):
    with pytest.raises(ValueError):
        Settings.from_env(env)
