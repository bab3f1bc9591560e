"""The development environment itself: a real proxy with keys, teams and prices, over the echo server."""

import json

import aicp_dev
import pytest

# The team of these tests may ask for every model: what is governed is tested elsewhere.
MODELS = ["gpt-4o", "gpt-4o-mini", "gpt-5", "claude-sonnet-4.5", "claude-opus-4.5", "gemini-3-pro"]


def test_all_models_are_listed(proxy):
    listed = {entry["id"] for entry in proxy.admin("GET", "/v1/models")["data"]}
    assert set(MODELS) <= listed


@pytest.mark.parametrize("model", MODELS)
def test_every_model_answers_with_its_price(proxy, model):
    mark = aicp_dev.unique("price")
    answer = proxy.chat(proxy.master_key, model, mark, max_tokens=100)
    assert answer.status == 200, answer.text
    assert answer.body["choices"][0]["message"]["content"] == f"echo: {mark}"
    assert float(answer.headers["x-litellm-response-cost"]) > 0


def test_a_stream_ends_with_the_usage(proxy):
    fields = {"stream": True, "stream_options": {"include_usage": True}}
    plain = proxy.chat(proxy.master_key, "gpt-4o", "one two three")
    answer = proxy.chat(proxy.master_key, "gpt-4o", "one two three", **fields)
    assert answer.streamed_text() == "echo: one two three"
    usage = answer.events()[-1]["usage"]
    assert usage["prompt_tokens"] == plain.body["usage"]["prompt_tokens"]
    assert usage["completion_tokens"] == plain.body["usage"]["completion_tokens"]


def test_the_echo_server_stops_at_max_tokens(proxy):
    answer = proxy.chat(proxy.master_key, "gpt-4o", "a long text that is longer than that", max_tokens=4)
    assert answer.body["usage"]["completion_tokens"] == 4
    assert answer.body["choices"][0]["finish_reason"] in ("length", "stop")


def test_a_broken_model_falls_back(proxy):
    answer = proxy.chat(proxy.master_key, "echo-broken", "hello", max_tokens=50)
    assert answer.status == 200, answer.text
    assert answer.headers["x-litellm-attempted-fallbacks"] == "1"


def test_keys_belong_to_teams(proxy, new_team, new_key):
    team = new_team("environment", models=["gpt-4o-mini"])
    key = new_key(team_id=team)
    info = proxy.admin("GET", f"/key/info?key={key}")["info"]
    assert info["team_id"] == team
    assert aicp_dev.call("GET", proxy.url + "/v1/models", key=key).status == 200
    assert proxy.chat(key, "gpt-5", "hello").status in (401, 403)


def test_the_echo_server_tells_what_the_model_saw(proxy):
    mark = aicp_dev.unique("seen")
    proxy.chat(proxy.master_key, "gpt-4o-mini", [{"role": "system", "content": "short"}, {"role": "user", "content": mark}])
    (entry,) = proxy.seen(mark)
    assert entry["body"]["messages"][0] == {"role": "system", "content": "short"}
    assert "authorization" not in entry["headers"]


def test_embeddings_depend_on_the_text(proxy):
    body = {"model": "text-embedding-3-small", "input": ["one", "two", "one"]}
    answer = aicp_dev.call("POST", proxy.url + "/v1/embeddings", body, proxy.master_key)
    assert answer.status == 200, answer.text
    one, two, again = (json.dumps(entry["embedding"]) for entry in answer.body["data"])
    assert one == again != two
    assert answer.body["usage"]["total_tokens"] == 3


def test_the_openai_client_works(proxy):
    client = proxy.client(proxy.master_key)
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    assert answer.choices[0].message.content == "echo: hi"


def test_two_workers_serve_one_proxy(two_workers):
    log = two_workers.state / "litellm.log"
    aicp_dev.wait_for(lambda: log.read_text().count("Started server process") >= 2, 60)  # one may be ready first
    key = two_workers.create_key(alias="two")
    answers = [two_workers.chat(key, "gpt-4o-mini", "hello") for _ in range(4)]
    assert all(answer.status == 200 for answer in answers), [answer.text for answer in answers]
