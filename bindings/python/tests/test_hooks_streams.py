"""What the handler does with an answer that comes in pieces."""

import asyncio
import json

import pytest

# First: it skips these tests without litellm.
from hooks import answer, chunk, drain, handler, log_success, pre, request, run, stream_of, text_of, USER

from fastapi import HTTPException
from litellm.types.utils import Delta, Usage

from fakes import Gate


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
