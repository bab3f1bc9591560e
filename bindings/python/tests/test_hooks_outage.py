"""What becomes of calls while the gate cannot decide."""

import asyncio
import os
import threading

import pytest

# First: it skips these tests without litellm.
from hooks import answer, handler, pre, request, run, USER

from fastapi import HTTPException
from litellm.proxy._types import UserAPIKeyAuth

from aicp import AicpError
from aicp.litellm import AicpGuardrail, Settings
from fakes import Gate, failure


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
