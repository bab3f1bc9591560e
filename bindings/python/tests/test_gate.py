"""The gate from Python, with a bundle of its own."""

import gc
import hashlib
import http.server
import json
import os
import threading

import pytest

import aicp

PRICE = {
    "input_cost_per_token": 1e-06,
    "output_cost_per_token": 2e-06,
    "max_output_tokens": 1000,
    "litellm_provider": "openai",
    "mode": "chat",
}
SECTIONS = {
    "policies.cedar": """@id("all") permit(principal, action, resource);
        @id("no-big") @reason("team red may not use gpt-5") @advice("ask for gpt-4o")
        forbid(principal in AICP::Team::"red", action, resource == AICP::Model::"gpt-5");""",
    "entities.json": "[]",
    "overrides.json": json.dumps({"gpt-4o": PRICE, "gpt-5": {**PRICE, "output_cost_per_token": 8e-06}}),
    "limits.json": json.dumps(
        [{"id": "rpm", "kind": "requests", "limit": 2, "window": "1m", "per": ["user"]}]
    ),
    "guardrails.json": json.dumps(
        {"default": "p", "profiles": [{"name": "p", "pii": {"action": "anonymize"}}]}
    ),
    "accounts.json": json.dumps(
        [{"id": "team", "per": ["team"], "hard": "0.001", "soft": ["0.0005"], "duration": "1mo"}]
    ),
}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "bundle"
    path.mkdir()
    for name, text in SECTIONS.items():
        (path / name).write_text(text)
    aicp.Bundle.seal(path, "v1")
    return path


@pytest.fixture
def gate(folder):
    with aicp.Gate(folder) as opened:
        yield opened


def body(text="hello", model="gpt-4o", **more):
    more.setdefault("max_tokens", 10)
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more})


def check(gate, *args, **more):
    """A check that may wait: a budget is read from its store when it is first needed."""
    return gate.check(*args, wait=5, **more)


def answer(text):
    return json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]})


def test_bundles_are_verified(folder):
    bundle = aicp.Bundle(folder)
    assert bundle.version == "v1"
    assert "policies" in json.dumps(bundle.describe())
    (folder / "entities.json").write_text("[ ]")
    with pytest.raises(aicp.AicpError, match="entities.json"):
        aicp.Bundle(folder)
    with pytest.raises(aicp.AicpError):
        aicp.Bundle(folder / "nowhere")


def test_an_allowed_request_is_estimated_and_settled(gate):
    with check(gate, body(), key="k", team="blue") as decision:
        assert decision.allowed and decision.http_status == 200
        assert decision.body is None and decision.model == "gpt-4o" and decision.max_tokens is None
        assert decision.input_tokens == 8
        assert decision.cost_expected_nano > 0
        assert decision.reserved_nano == 8 * 1_000 + 10 * 2_000
        assert decision.total_ns > 0 and set(decision.timings()) >= {"parse", "policy", "budget"}
        assert decision.to_dict()["verdict"] == "allow"
        usage = aicp.parse_usage({"prompt_tokens": 8, "completion_tokens": 5})
        assert decision.settle(usage) == 8 * 1_000 + 5 * 2_000
        with pytest.raises(aicp.StateError):
            decision.settle(usage)


def test_a_check_that_must_wait_says_so_and_takes_nothing(gate):
    with pytest.raises(aicp.WouldBlockError):
        gate.check(body(), user="eve", team="blue")
    kept = [check(gate, body(), user="eve", team="blue") for _ in range(3)]
    assert [decision.allowed for decision in kept] == [True, True, False]


def test_a_true_cost_wins(gate):
    with check(gate, body(), key="k", team="blue") as decision:
        assert decision.settle({"prompt_tokens": 8}, 4_711) == 4_711


def test_a_refusal_tells_why_and_what_helps(gate):
    decision = check(gate, body(model="gpt-5"), key="k", team="red")
    assert not decision.allowed
    assert (decision.http_status, decision.step, decision.rule) == (403, "policy", "no-big")
    assert "team red may not use gpt-5" in decision.message
    assert "gpt-4o" in decision.advice
    assert decision.type


def test_limits_come_with_headers(gate):
    decisions = [check(gate, body(), user="bob") for _ in range(3)]
    assert [d.allowed for d in decisions] == [True, True, False]
    assert decisions[2].http_status == 429
    assert decisions[2].headers["Retry-After"].isdigit()


def test_texts_are_anonymised_and_restored(gate):
    decision = check(gate, body("mail bob.smith@example.com"), key="k")
    sent = json.loads(decision.body)
    assert sent["messages"][0]["content"] == "mail <EMAIL_ADDRESS_1>"
    assert decision.finding_count == 1 and decision.risk > 0
    output = decision.output(answer("wrote to <EMAIL_ADDRESS_1>"))
    assert output.allowed and "bob.smith@example.com" in json.loads(output.data)["choices"][0]["message"]["content"]
    assert decision.output(answer("nothing")).data is None
    assert decision.output_text("to <EMAIL_ADDRESS_1>").data == b"to bob.smith@example.com"
    stream = decision.stream()
    out = b"".join(stream.feed(piece).data for piece in ("to <EMA", "IL_ADDR", "ESS_1> ok"))
    out += stream.feed("", last=True).data
    assert out == b"to bob.smith@example.com ok"


def test_fallbacks_are_asked_about(gate):
    decision = check(gate, body(), key="k", team="red")
    assert decision.candidate("gpt-5", wait=5) is False
    assert check(gate, body(), key="k", team="blue").candidate("gpt-5", wait=5) is True


def test_a_budget_is_spent_and_given_back(gate):
    big = body(max_tokens=400)  # 0.0008 of 0.001 USD
    first = check(gate, big, key="k", team="poor")
    assert first.allowed
    second = check(gate, big, key="k", team="poor")
    assert not second.allowed or second.max_tokens is not None
    second.close()
    first.release()
    first.close()
    third = check(gate, big, key="k", team="poor")
    assert third.allowed and third.max_tokens is None
    third.renew()
    third.served_by("gpt-4o")
    third.settle({}, 999_999)
    assert check(gate, big, key="k", team="poor").http_status == 422


def test_a_dropped_decision_gives_back_what_it_reserved(gate):
    big = body(max_tokens=400)
    for _ in range(5):
        assert check(gate, big, key="k", team="careless").allowed
        gc.collect()


def test_new_versions_come_into_force(gate, folder):
    assert gate.bundle_version == "v1" and gate.reload() is False
    (folder / "policies.cedar").write_text("forbid(principal, action, resource);")
    aicp.Bundle.seal(folder, "v2")
    assert gate.reload() is True and gate.bundle_version == "v2"
    assert not check(gate, body(), key="k").allowed
    (folder / "policies.cedar").write_text("forbid(")
    with pytest.raises(aicp.AicpError):
        aicp.Bundle.seal(folder, "v3")
    with pytest.raises(aicp.AicpError):
        gate.reload() or aicp.Bundle(folder)
    assert gate.bundle_version == "v2"


def test_a_bundle_can_be_loaded_by_hand(folder):
    with aicp.Gate() as gate:
        with pytest.raises(aicp.StateError):
            check(gate, body())
        gate.load(aicp.Bundle(folder))
        assert check(gate, body()).allowed
    with pytest.raises(aicp.StateError):
        check(gate, body())
    with aicp.Gate(aicp.Bundle(folder)) as gate:
        assert gate.bundle_version == "v1"


def test_metrics_and_events(gate):
    check(gate, body(), key="k").release()
    check(gate, body(model="gpt-5"), key="k", team="red")
    assert isinstance(gate.metrics(), dict)
    gate.flush()
    events = gate.events()
    assert len(events) >= 2 and gate.events() == []


def test_broken_bodies_are_refused_not_raised(gate):
    for broken in ("{", "[]", '"x"', b"\xff"):
        decision = check(gate, broken)
        assert not decision.allowed and decision.http_status == 400
    with pytest.raises(KeyError):
        check(gate, body(), action="fly")
    assert check(gate, body()).allowed, "a request that failed must not spoil the next"


def test_the_gate_outlives_its_own_name(folder):
    gate = aicp.Gate(folder)
    decision = check(gate, body("a@example.com"))
    stream = decision.stream()
    gate.close()
    del gate
    assert decision.output(answer("x")).allowed
    decision.close()
    gc.collect()
    assert stream.feed("x", last=True).allowed
    with pytest.raises(aicp.StateError):
        decision.output(answer("x"))


def test_many_threads_share_a_gate(gate):
    wrong = []

    def work(n):
        for i in range(50):
            text = f"mail p{n}x{i}@example.com"
            with check(gate, body(text), key=f"k{n}") as decision:
                sent = json.loads(decision.body)["messages"][0]["content"]
                back = decision.output_text(sent).data
                if sent != "mail <EMAIL_ADDRESS_1>" or back.decode() != text:
                    wrong.append((sent, back))
                decision.settle({"prompt_tokens": 1})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_one_decision_in_two_threads_does_no_harm(gate):
    decision = check(gate, body("mail bob.smith@example.com"), key="k", team="blue")
    done = []

    def work():
        for _ in range(200):
            decision.output_text("to <EMAIL_ADDRESS_1>")
            decision.candidate("gpt-5", wait=5)
            assert decision.model
        done.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4


def test_processes_share_a_budget_through_the_store(folder, tmp_path):
    store = f"sqlite:///{tmp_path}/ledger.db"
    big = body(max_tokens=100)  # 0.000208 of 0.001 USD: four fit
    readers = []
    for _ in range(2):
        reader, writer = os.pipe()
        if os.fork() == 0:
            admitted = 0
            gate = aicp.Gate(folder, store=store)
            kept = []
            for _ in range(4):
                decision = check(gate, big, key="k", team="shared")
                if decision.allowed and decision.max_tokens is None:
                    admitted += 1
                    decision.settle({}, 208_000)
                kept.append(decision)
            gate.flush()
            os.write(writer, str(admitted).encode())
            os._exit(0)
        os.close(writer)
        readers.append(reader)
    for _ in readers:
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
    assert sum(int(os.read(reader, 10)) for reader in readers) == 4


def test_a_gate_opened_before_a_fork_works_in_the_child(folder, tmp_path):
    gate = aicp.Gate(folder, store=f"sqlite:///{tmp_path}/ledger.db")
    assert check(gate, body(), key="k", team="t").allowed
    child = os.fork()
    if child == 0:
        ok = False
        try:
            decision = check(gate, body(), key="k", team="t")
            ok = decision.allowed and decision.settle({}, 5) == 5
            gate.flush()
        finally:
            os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert check(gate, body(), key="k", team="t").allowed
    gate.close()


# -- rules from a server ---------------------------------------------------------------------------


class Server:
    """Serves the bundle of a folder, takes events; ``docs/gate-protocol.md``."""

    def __init__(self, folder):
        self.folder, self.events, self.keys = folder, [], set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body=b"", etag=None):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if etag:
                    self.send_header("ETag", etag)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                outer.keys.add(self.headers["Authorization"])
                path = self.path.partition("?")[0].removeprefix("/api/v1/gate/")
                if path == "bundle":
                    body = (outer.folder / "manifest.json").read_bytes()
                    etag = '"' + hashlib.sha256(body).hexdigest() + '"'
                    same = self.headers["If-None-Match"] == etag
                    return self.answer(304) if same else self.answer(200, body, etag)
                for file in outer.folder.iterdir():
                    body = file.read_bytes()
                    if path == "bundle/sections/" + hashlib.sha256(body).hexdigest():
                        return self.answer(200, body)
                return self.answer(404)

            def do_POST(self):
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.events += message["events"]
                self.answer(200, b'{"accepted":1,"duplicates":0,"next":1}')

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


def test_rules_come_from_a_server_and_events_go_to_it(folder, tmp_path):
    server = Server(folder)
    cache = tmp_path / "cache"
    try:
        with aicp.Gate(server.url, service_key="secret", cache=cache) as gate:
            version = gate.bundle_version
            assert server.keys == {"Bearer secret"}
            assert gate.reload() is False
            check(gate, body(), key="k", team="blue").release()
            gate.flush()
            assert [event["event"] for event in server.events] == ["bundle", "decision"]
            with pytest.raises(aicp.StateError):
                gate.events()
    finally:
        server.stop()
    assert aicp.Bundle(cache / "current").version == version
    with aicp.Gate(server.url, cache=cache) as gate:  # the disk copy
        assert gate.bundle_version == version
        assert gate.metrics()["bundle_server"]["failures"] == 1


def test_each_server_has_a_cache_of_its_own(monkeypatch, tmp_path):
    from aicp.gate import default_cache

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    one, other = default_cache("http://a"), default_cache("http://b")
    assert one != other and one.startswith(str(tmp_path) + "/aicp/bundle-")


def test_a_question_written_down_is_asked_as_the_gate_would_ask(folder):
    policies = aicp.PolicySet((folder / "policies.cedar").read_text(), id_from_annotation=True)
    with aicp.Gate(folder) as gate:
        decision = check(gate, body(model="gpt-5"), key="k", team="red")
        assert not decision.allowed
        events = gate.events()
    event = next(e for e in events if e["event"] == "decision")
    answer = aicp.question(json.dumps(event)).authorize(policies)
    assert (answer.allowed, answer.reasons) == (False, [decision.rule])
    answer = aicp.question(json.dumps({**event, "team": "blue"})).authorize(policies)
    assert answer.allowed
    with pytest.raises(aicp.ParseError) as caught:
        aicp.question('{"team": "red"}')
    assert "model" in str(caught.value)


def test_actions_and_fields_have_the_names_of_events():
    from aicp.gate import ACTIONS, FIELDS

    assert list(ACTIONS) == ["chat", "complete", "embed", "respond", "image", "audio", "tool"]
    assert FIELDS["key"] == 0 and FIELDS["call_id"] == 9
