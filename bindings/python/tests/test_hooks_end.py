"""How a call ends: settled once, or released."""

import asyncio
import json

# First: it skips these tests without litellm.
from hooks import answer, handler, log_success, pre, request, run, USER

from fakes import Gate


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
