"""How LiteLLM sees the handler, and what it asks the gate before a call."""

import json
import threading

import pytest

# First: it skips these tests without litellm.
from hooks import handler, pre, request

from fastapi import HTTPException
from litellm.integrations.custom_guardrail import CustomGuardrail
from litellm.integrations.custom_logger import CustomLogger
from litellm.types.guardrails import GuardrailEventHooks

from aicp.litellm import AicpGuardrail, Settings
from fakes import Gate, failure


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
