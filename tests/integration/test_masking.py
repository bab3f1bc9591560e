"""What models and callers get to see: masked for the model, restored or left masked in the answer, whole and streamed."""

import json

import aicp_dev
import pytest

EMAIL = "maria.silva@example.com"
CARD = "4111 1111 1111 1111"
# Put together here, so that no tool takes this file for one that leaks a key.
API_KEY = "ghp_" + "".join("a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")
TOOL = {"type": "function", "function": {"name": "send", "parameters": {"type": "object", "properties": {"text": {"type": "string"}}}}}


def secret_text(marker: str) -> str:
    return f"{marker} write to {EMAIL}, card {CARD}, key {API_KEY}"


def sent(governed, marker: str) -> str:
    """The body that reached the model, as JSON text."""
    (entry,) = governed.proxy.seen(marker)
    return json.dumps(entry["body"])


def assert_clean(text: str) -> None:
    for value in (EMAIL, CARD, API_KEY):
        assert value not in text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("team, restored", [("t-blue", False), ("t-restore", True)])
def test_the_model_sees_placeholders_and_the_caller_what_the_profile_says(governed, team, restored, stream):
    marker = aicp_dev.unique("mask")
    answer = governed.chat(team, "gpt-4o-mini", secret_text(marker), stream=stream)
    assert answer.status == 200, answer.text
    body = sent(governed, marker)
    assert_clean(body)
    assert "<EMAIL_ADDRESS" in body and "<CREDIT_CARD" in body and "<GITHUB_TOKEN" in body
    text = answer.streamed_text() if stream else answer.body["choices"][0]["message"]["content"]
    assert text.startswith(f"echo: {marker} write to ")
    # a secret is masked for good, whatever becomes of personal data
    assert (EMAIL in text, CARD in text, API_KEY in text) == (restored, restored, False)
    assert ("<EMAIL_ADDRESS" in text) != restored
    assert answer.headers["x-aicp-findings"] == "3"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("team, restored", [("t-blue", False), ("t-restore", True)])
def test_arguments_of_a_tool_call_are_treated_like_text(governed, team, restored, stream):
    marker = aicp_dev.unique("tool")
    fields = {"tools": [TOOL], "tool_choice": "required", "stream": stream}
    answer = governed.chat(team, "gpt-4o-mini", f'{marker} to "{EMAIL}"', **fields)
    assert answer.status == 200, answer.text
    assert_clean(sent(governed, marker))
    if stream:
        calls = [call for event in answer.events() for c in event["choices"] for call in c["delta"].get("tool_calls") or []]
        assert [call["function"]["name"] for call in calls if call["function"].get("name")] == ["send"]
        arguments = "".join(call["function"].get("arguments") or "" for call in calls)
    else:
        (call,) = answer.body["choices"][0]["message"]["tool_calls"]
        arguments = call["function"]["arguments"]
    text = json.loads(arguments)["text"]
    assert text.startswith(f'{marker} to "')
    assert (EMAIL in text) == restored


def test_every_text_of_a_conversation_is_masked(governed):
    marker = aicp_dev.unique("conversation")
    call = {"name": "send", "arguments": json.dumps({"to": EMAIL, "card": CARD})}
    messages = [
        {"role": "system", "content": f"you serve {EMAIL}"},
        {"role": "user", "content": [{"type": "text", "text": marker}, {"type": "text", "text": f"card {CARD}"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": call}]},
        {"role": "tool", "tool_call_id": "c1", "content": json.dumps({"sent_to": EMAIL})},
        {"role": "user", "content": f"and {API_KEY}"},
    ]
    answer = governed.chat("t-blue", "gpt-4o-mini", messages)
    assert answer.status == 200, answer.text
    body = sent(governed, marker)
    assert_clean(body)
    made = json.loads(body)["messages"]
    assert [message["role"] for message in made] == ["system", "user", "assistant", "tool", "user"]
    arguments = json.loads(made[2]["tool_calls"][0]["function"]["arguments"])
    assert set(arguments) == {"to", "card"}
    assert made[2]["tool_calls"][0]["id"] == made[3]["tool_call_id"] == "c1"


def test_a_long_conversation_is_masked_to_its_end(governed):
    marker = aicp_dev.unique("long")
    text = f"{marker} {'all work and no play ' * 10_000} {EMAIL}"
    answer = governed.chat("t-restore", "gpt-4o-mini", text)
    assert answer.status == 200, answer.text
    assert_clean(sent(governed, marker))
    assert answer.body["choices"][0]["message"]["content"].endswith(EMAIL)


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_model_writes_by_itself_is_masked_too(governed, stream):
    # Neither part is an address; the echo server's answer, which joins them, is.
    parts = [{"type": "text", "text": part} for part in ("ask maria.silva@exam", "ple.com now")]
    answer = governed.chat("t-blue", "gpt-4o-mini", [{"role": "user", "content": parts}], stream=stream)
    text = answer.streamed_text() if stream else answer.body["choices"][0]["message"]["content"]
    assert text == "echo: ask <EMAIL_ADDRESS> now"


def test_texts_to_embed_are_masked(governed):
    marker = aicp_dev.unique("embed")
    body = {"model": "text-embedding-3-small", "input": [marker, f"{marker} {EMAIL}"]}
    answer = governed.post("t-blue", "/v1/embeddings", body)
    assert answer.status == 200, answer.text
    assert_clean(sent(governed, marker))
    assert len(answer.body["data"]) == 2


@pytest.mark.parametrize("team, restored", [("t-blue", False), ("t-restore", True)])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "path, body",
    [
        ("/v1/completions", {"prompt": None}),
        ("/v1/messages", {"messages": [{"role": "user", "content": None}], "max_tokens": 200}),
        ("/v1/responses", {"input": None}),
        ("/v1beta/models/gpt-4o-mini:generateContent", {"contents": [{"role": "user", "parts": [{"text": None}]}]}),
        ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_text", "text": None}]}]}),
    ],
    ids=["completions", "messages", "responses", "google", "responses-list"],
)
def test_other_routes_mask_and_restore(governed, path, body, stream, team, restored):
    marker = aicp_dev.unique("route")
    text = json.dumps(f"{marker} write to {EMAIL}, card {CARD}")
    body = json.loads(json.dumps(body).replace("null", text))
    if "contents" in body:
        path = path.replace(":generate", ":streamGenerate") if stream else path
    else:
        body = {"model": "gpt-4o-mini", "stream": stream, **body}
    answer = governed.post(team, path, body)
    assert answer.status == 200, answer.text
    assert_clean(sent(governed, marker))
    text = pieces(answer) if stream else answer.text
    assert marker in text
    assert (EMAIL in text, CARD in text) == (restored, restored), text


def pieces(answer: aicp_dev.Answer) -> str:
    """The text of a stream, in whatever form it comes; the form that repeats whole texts must agree."""
    found, whole = [], []
    for event in answer.events():
        for choice in event.get("choices", []):
            found.append(choice.get("text") or "")
        for candidate in event.get("candidates", []):
            found += [part["text"] for part in candidate["content"]["parts"]]
        delta = event.get("delta")
        found.append(delta if isinstance(delta, str) else (delta or {}).get("text") or "")
        if event.get("type") == "response.output_text.done":
            whole.append(event["text"])
    text = "".join(found)
    assert whole in ([], [text])
    return text
