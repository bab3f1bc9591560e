"""What the handler does with an answer that came whole."""

import pytest

# First: it skips these tests without litellm.
from hooks import answer, handler, NO_OUTAGES, pre, request, run, USER

from fastapi import HTTPException

from fakes import Gate, failure


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


@pytest.mark.parametrize("error", NO_OUTAGES)
def test_only_an_outage_lets_an_answer_pass_unscanned(error):
    guard = handler(Gate(output=error), fail_open=True)
    data = pre(guard, request())
    with pytest.raises(HTTPException) as caught:
        run(guard.async_post_call_success_hook(data, USER, answer("x")))
    assert caught.value.status_code == 503
    assert guard.counters["failed_open"] == 0
