"""What the handler asks the gate about the models that a call falls back to."""

import pytest

# First: it skips these tests without litellm.
from hooks import handler, NO_OUTAGES, pre, request, run

from fastapi import HTTPException

from fakes import Gate, failure


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


@pytest.mark.parametrize("error", NO_OUTAGES)
def test_only_an_outage_opens_the_way_to_a_candidate(error):
    guard = handler(Gate(candidates={"gpt-5": error}), fail_open=True)
    data = pre(guard, request())
    assert candidates(guard, data, "gpt-5") == []


def test_requests_of_others_are_not_touched():
    guard = handler(Gate())
    assert len(candidates(guard, {"metadata": {}}, "gpt-5")) == 2
    assert len(candidates(guard, None, "gpt-5")) == 2
