"""The client against a small server that answers as LiteLLM does."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import aicp

KEY = "sk-" + "0" * 22


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def send(self, status, body, **headers):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", headers.pop("kind", "application/json"))
        self.send_header("content-length", str(len(raw)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        if self.headers.get("authorization") != f"Bearer {KEY}":
            self.send(401, {"error": {"message": "who are you", "type": "auth_error", "param": "None", "code": "401"}})
        elif self.path == "/v1/models":
            self.send(200, {"data": [{"id": "gpt-4o"}, {"id": "small"}], "object": "list"})
        elif self.path.startswith("/user/list?role=admin&"):
            page = int(self.path.rsplit("page=", 1)[1])
            self.send(200, {"users": [{"user_id": f"u{page}"}], "total_pages": 2})
        elif self.path.startswith("/team/list"):
            self.send(200, [{"team_id": "blue"}])
        else:
            self.send(404, {"detail": "Not Found"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
        if self.path == "/key/generate":
            self.send(200, {"key": KEY, **body})
        elif body.get("model") == "poor":
            error = {"message": "Budget has been exceeded!", "type": "budget_exceeded", "param": None, "code": "422"}
            self.send(422, {"error": error})
        elif body.get("stream"):
            events = "".join(f"data: {json.dumps({'n': n})}\n\n" for n in range(3))
            if self.path == "/v1/responses":
                done = {"usage": {"input_tokens": 4, "output_tokens": 2, "cost": 1e-6}}
                events += f"data: {json.dumps({'type': 'response.completed', 'response': done})}\n\n"
            self.send(200, (events + "data: [DONE]\n\n").encode(), kind="text/event-stream")
        else:
            self.send(200, {"seen": body}, x_litellm_response_cost="1.5e-06", x_litellm_call_id="c")


@pytest.fixture(scope="module")
def url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(url):
    with aicp.LiteLLMClient(url, KEY, timeout=10) as opened:
        yield opened


def test_answers_are_data(client):
    assert client.models() == ["gpt-4o", "small"]
    assert client.team_list() == [{"team_id": "blue"}]
    assert client.key_generate(team_id="blue")["team_id"] == "blue"


def test_lists_are_filtered_and_come_whole(client):
    assert client.user_find(role="admin", team=None) == [{"user_id": "u1"}, {"user_id": "u2"}]


def test_calls_with_an_id_and_fields_send_both(client):
    assert client.key_reset_spend("0f", reset_to=0) == {"seen": {"reset_to": 0}}
    assert client.team_delete("blue") == {"seen": {"team_ids": ["blue"]}}
    with pytest.raises(aicp.InvalidArgumentError):
        client.team_info("")


def test_a_chat_tells_its_cost(client):
    reply = client.chat({"model": "gpt-4o", "messages": []})
    assert reply.status == 200 and reply.cost_nano == 1_500
    assert reply.json() == {"seen": {"model": "gpt-4o", "messages": []}}
    assert reply.header("X-LiteLLM-Call-Id") == "c" and reply.header("none") is None
    assert client.call("POST", "/any", {"a": 1}).json() == {"seen": {"a": 1}}


def test_errors_tell_what_the_proxy_said(client, url):
    with pytest.raises(aicp.BudgetExceededError) as caught:
        client.chat({"model": "poor"})
    assert caught.value.status == 422 and caught.value.type == "budget_exceeded"
    assert "Budget has been exceeded!" in str(caught.value)
    with pytest.raises(aicp.NotFoundError):
        client.call("GET", "/nowhere")
    with pytest.raises(aicp.LiteLLMError) as caught:
        aicp.LiteLLMClient(url, "sk-wrong").models()
    assert caught.value.status == 401 and caught.value.relay == 401


def test_streams_give_each_event(client):
    events = []
    client.chat_stream({"model": "gpt-4o", "messages": []}, events.append)
    assert events == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_streams_tell_their_usage(client):
    reply = client.response_stream({"model": "gpt-4o", "input": "a"}, lambda event: None)
    assert reply.usage == {"input_tokens": 4, "output_tokens": 2, "total_tokens": 6, "cached_tokens": -1, "cost_nano": 1000}
    assert reply.cost_nano == 1000
    assert client.chat({"model": "gpt-4o"}).usage is None


def test_what_a_callback_raises_comes_out(client):
    def stop(event):
        raise LookupError(f"stop at {event['n']}")

    with pytest.raises(LookupError, match="stop at 0"):
        client.chat_stream({"model": "gpt-4o", "messages": []}, stop)
    assert client.models()


def test_nobody_listens():
    with pytest.raises(aicp.NetworkError):
        aicp.LiteLLMClient("http://127.0.0.1:9", KEY, connect_timeout=1, timeout=2).health()
