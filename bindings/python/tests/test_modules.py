"""Each part of the package does what its documentation says."""

import json
import time
import weakref

import pytest

import aicp
from aicp.guard import rules as guard_rules

PRICES = json.dumps(
    {
        "gpt-4o": {
            "input_cost_per_token": 2.5e-06,
            "output_cost_per_token": 1e-05,
            "max_input_tokens": 128000,
            "max_output_tokens": 16384,
            "litellm_provider": "openai",
            "mode": "chat",
        },
        "free": {"litellm_provider": "x"},
    }
)
BODY = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 10})


# -- policy ----------------------------------------------------------------------------------------


SCHEMA = """namespace Shop {
  type Long2 = Long;
  entity User in [Team] { age?: Long2 };
  entity Team;
  @doc("asks a model")
  action "ask \\0" appliesTo { principal: User, resource: Team };
}"""


def test_schemas_are_read_and_written_in_both_syntaxes():
    schema = aicp.Schema(SCHEMA)
    assert schema.entity_types == ["Shop::User", "Shop::Team"]
    assert schema.actions == [("Shop::Action", "ask \0")]
    assert schema.warnings == []
    written = json.loads(schema.to_json())
    assert written["Shop"]["entityTypes"]["User"]["memberOfTypes"] == ["Team"]
    assert written["Shop"]["actions"]["ask \0"]["annotations"] == {"doc": "asks a model"}
    assert aicp.Schema(written).to_cedar() == schema.to_cedar()
    assert json.loads(aicp.Schema(schema.to_cedar()).to_json()) == written
    (warning,) = aicp.Schema("\nentity Long;").warnings
    assert warning.message.startswith("Long hides") and (warning.line, warning.column) == (2, 8)
    with pytest.raises(aicp.NotFoundError) as caught:
        aicp.Schema("entity User in [Team];")
    assert caught.value.line == 1 and "Team" in str(caught.value)
    with pytest.raises(aicp.LimitError):
        aicp.Schema(SCHEMA, max_bytes=10)


def test_policies_decide_with_reasons_and_errors():
    policies = aicp.PolicySet(
        """@id("yes") @why("small is cheap") permit(principal in Team::"blue", action, resource);
           forbid(principal, action, resource) when { context.tokens > 100 };
           permit(principal, action, resource) when { context.missing };""",
        id_from_annotation=True,
    )
    entities = aicp.Entities(
        [
            {"uid": {"type": "User", "id": "ann"}, "attrs": {}, "parents": [{"type": "Team", "id": "blue"}]},
            {"uid": {"type": "Team", "id": "blue"}, "attrs": {}, "parents": []},
        ]
    )
    assert len(entities) == 2 and ("User", "ann") in entities and ("User", "bob") not in entities
    written = entities.to_json()
    assert json.loads(written)[0]["parents"] == [{"type": "Team", "id": "blue"}]
    assert aicp.Entities(written).to_json() == written
    ask = ("User", "ann"), ("Action", "chat"), ("Model", "m")
    answer = policies.authorize(*ask, {"tokens": 5}, entities)
    assert answer.allowed and bool(answer) and answer.reasons == ["yes"]
    (failed,) = answer.errors
    assert failed.policy == "policy2" and failed.kind == "RecordAttrDoesNotExist" and failed.line == 3
    assert policies.annotation("yes", "why") == "small is cheap"
    assert policies[answer.reason_indexes[0]].annotations["why"] == "small is cheap"
    assert policies[1].effect == "forbid" and policies[-1].id == "policy2"
    assert not policies.authorize(*ask, {"tokens": 101}, entities).allowed
    assert not policies.authorize(*ask, {"tokens": 5}).allowed
    with pytest.raises(IndexError):
        policies[3]
    with pytest.raises(aicp.NotFoundError):
        policies["none"]


def test_many_requests_are_answered_in_one_call():
    policies = aicp.PolicySet(
        'permit(principal == User::"ann", action, resource) when { context.n == 1 };'
    )
    ask = {
        "principal": 'User::"ann"',
        "action": {"type": "Action", "id": "a"},
        "resource": 'Doc::"d"',
        "context": {"n": 1},
    }
    yes, bad = policies.authorize_many([ask, {**ask, "principal": "User"}], aicp.Entities())
    assert yes == {"decision": "allow", "reasons": ["policy0"], "errors": []}
    assert bad["error"]["code"] == "ERR_PARSE"
    assert policies.authorize_many([ask], decision_only=True) == [{"decision": "allow"}]
    text = policies.authorize_json(json.dumps(ask) + "\n[]\n", lines=True, first_line=5)
    assert json.loads(text.splitlines()[1])["error"]["line"] == 6
    with pytest.raises(aicp.ParseError):
        policies.authorize_json("[")
    schema = aicp.Schema(
        "entity User; entity Doc; action a appliesTo {principal: User, resource: Doc, context: {n: Long}};"
    )
    yes, bad = policies.authorize_many([ask, {**ask, "context": {"n": "1"}}], schema=schema)
    assert (yes["decision"], bad["error"]["code"]) == ("allow", "ERR_POLICY_TYPE")
    request = aicp.Request()
    request.json(ask)
    assert request.authorize(policies).allowed


def test_an_entity_as_text_is_not_taken_for_a_pair():
    request = aicp.Request()
    calls = [
        request.principal, request.action, request.resource, aicp.Entities().__contains__,
        request.entity, lambda uid: request.entity(("User", "ann"), parents=[uid]),
        lambda uid: request.context_entity("of", uid), lambda uid: request.entity_attr_entity("of", uid),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="pair of type and id"):
            call('User::"ann"')


def test_requests_and_entities_follow_their_schema():
    schema = aicp.Schema(
        """entity Team; entity User in [Team] = {boss?: User, rate?: decimal}; entity Model;
           action chat appliesTo {principal: User, resource: Model, context: {from: ipaddr, n?: Long}};"""
    )
    ann = {"type": "User", "id": "ann"}
    attrs = {"boss": {"type": "User", "id": "eve"}, "rate": "1.5"}
    entities = aicp.Entities([{"uid": ann, "attrs": attrs, "parents": []}], schema=schema)
    assert len(entities) == 2 and ("Action", "chat") in entities
    with pytest.raises(aicp.AicpError, match='User::"ann": attribute "boss": expected User, found Long') as caught:
        aicp.Entities([{"uid": ann, "attrs": {"boss": 1}, "parents": []}], schema=schema)
    assert caught.value.name == "ERR_POLICY_TYPE" and caught.value.line == 1
    ask = ("User", "ann"), ("Action", "chat"), ("Model", "m")
    request = aicp.Request(*ask, {"from": "10.0.0.1"}, schema=schema)
    request.check()
    assert request.authorize(aicp.PolicySet("permit(principal, action, resource) when { context.from.isIpv4() };"))
    request.context_value("n", "seven")
    with pytest.raises(aicp.AicpError, match='context: attribute "n": expected Long, found String'):
        request.check()
    with pytest.raises(aicp.StateError):
        aicp.Request(schema=schema).context({})
    with pytest.raises(aicp.StateError):
        aicp.Request(*ask).check()


def test_entities_may_live_elsewhere():
    policies = aicp.PolicySet('permit(principal in Team::"blue", action, resource) when { principal.level > 1 };')
    request = aicp.Request(("User", "ann"), ("Action", "chat"), ("Model", "m"))
    asked = []

    def find(uid):
        asked.append(uid)
        if uid != ("User", "ann"):
            return None
        return {"uid": {"type": "User", "id": "ann"}, "attrs": {"level": 2}, "parents": [{"type": "Team", "id": "blue"}]}

    request.lookup(find)
    assert request.authorize(policies).allowed and request.authorize(policies).allowed
    assert sorted(asked) == [("Team", "blue"), ("User", "ann")]

    class Gone(Exception):
        pass

    def fail(uid):
        raise Gone(uid)

    request.lookup(fail)
    with pytest.raises(Gone):
        request.authorize(policies)
    request.lookup(lambda uid: "{}")
    with pytest.raises(aicp.AicpError, match="cannot look up User::.*the entity has no") as caught:
        request.authorize(policies)
    assert caught.value.name == "ERR_CALLBACK" and caught.value.line == 1
    request.lookup(lambda uid: 7)
    with pytest.raises(TypeError):
        request.authorize(policies)
    request.lookup(None)
    assert not request.authorize(policies).allowed


def test_a_request_holds_its_lookup_and_lets_it_go():
    class Finder:
        def __call__(self, uid):
            return None

    finder = Finder()
    gone = weakref.ref(finder)
    request = aicp.Request(("User", "ann"), ("Action", "chat"), ("Model", "m"))
    request.lookup(finder)
    del finder
    assert gone() is not None
    assert not request.authorize(aicp.PolicySet("permit(principal in T::\"x\", action, resource);")).allowed
    request.close()
    assert gone() is None


def test_policies_have_a_text_and_a_json_form():
    text = 'permit(principal==?principal,action,resource);@id("a") forbid(principal,action,resource)when{1<2};'
    policies = aicp.PolicySet(text)
    assert policies.write() == (
        "permit (\n  principal == ?principal,\n  action,\n  resource\n);\n\n"
        '@id("a")\nforbid (principal, action, resource)\nwhen { 1 < 2 };\n'
    )
    values = {"?principal": {"type": "User", "id": "ann"}}
    linked = policies.link([{"templateId": "policy0", "newId": "ann", "values": values}])
    form = json.loads(linked.write("json"))
    assert form["templateLinks"] == [{"templateId": "policy0", "newId": "ann", "values": values}]
    again = aicp.PolicySet(json.dumps(form))
    assert [p.id for p in again] == ["policy1", "ann"] and again.templates == ["policy0"]
    assert again.write("json", policy="policy1") == policies.write("json", policy=0)
    assert json.loads(again.write("json", template="policy0"))["principal"]["slot"] == "?principal"
    assert 'principal == User::"ann"' in again.write(policy="ann")
    with pytest.raises(aicp.InvalidArgumentError):
        linked.write()
    with pytest.raises(aicp.NotFoundError):
        policies.write(policy=7)


def test_policies_are_laid_out_with_their_comments():
    text = "permit(principal,action,resource) // all\nwhen{context.a&&context.b};"
    assert aicp.format_policies(text, line_width=20, indent=4) == (
        "permit (\n    principal,\n    action,\n    resource\n) // all\n"
        "when {\n    context.a &&\n    context.b\n};\n"
    )
    with pytest.raises(aicp.ParseError):
        aicp.format_policies("permit")


def test_requests_take_values_of_every_type():
    policies = aicp.PolicySet(
        """permit(principal, action, resource) when {
             context.b && context.n == 7 && context.s == "x" && context.set.contains("a") &&
             context.ip.isInRange(ip("10.0.0.0/8")) && context.d.lessThan(decimal("2.0")) &&
             context.e == User::"eve" && context.r.k == 1 &&
             principal in Team::"blue" && principal.alias == "ci" && principal.n == 3 &&
             principal.on && principal.tags.contains("t") && principal.boss == User::"eve" };"""
    )
    request = aicp.Request(("Key", "k"), ("Action", "chat"), ("Model", "m"))
    for name, value in {"b": True, "n": 7, "s": "x", "set": ["a", "b"], "r": {"k": 1}}.items():
        request.context_value(name, value)
    request.context_ip("ip", "10.1.2.3")
    request.context_decimal("d", "1.5")
    request.context_entity("e", ("User", "eve"))
    attrs = {"alias": "ci", "n": 3, "on": True, "tags": {"t"}}
    request.entity(("Key", "k"), parents=[("Team", "blue")], attrs=attrs)
    request.entity_attr_entity("boss", ("User", "eve"))
    answer = request.authorize(policies)
    assert answer.allowed, answer.errors
    assert request.authorize(policies, decision_only=True).allowed
    request.reset()
    with pytest.raises(aicp.StateError):
        request.authorize(policies)


def test_templates_are_linked():
    policies = aicp.PolicySet("permit(principal == ?principal, action, resource);")
    assert len(policies) == 0 and policies.templates == ["policy0"]
    values = {"?principal": {"type": "User", "id": "ann"}}
    linked = policies.link([{"templateId": "policy0", "newId": "ann", "values": values}])
    assert [p.id for p in linked] == ["ann"]
    assert linked.authorize(("User", "ann"), ("A", "x"), ("R", "y")).reasons == ["ann"]


# -- cost ------------------------------------------------------------------------------------------


def test_money_is_exact():
    assert aicp.parse_money("0.0000125") == 12_500
    assert aicp.parse_money("1e-9") == 1
    assert aicp.format_money(12_500) == "0.0000125"
    with pytest.raises(aicp.ParseError):
        aicp.parse_money("one")


def test_tokens_are_counted_and_turned_back():
    tokenizer = aicp.Tokenizer("cl100k_base")
    text = "hello world, grüße 👋🏽"
    ids = tokenizer.encode(text)
    assert tokenizer.encode("hello world") == [15339, 1917]
    assert tokenizer.decode(ids).decode() == text
    assert tokenizer.count(text) == len(ids)
    assert tokenizer.count(b"\xff\xfe") > 0
    assert tokenizer.name == "cl100k_base" and tokenizer.vocab_size == 100_277
    assert tokenizer.truncate("one two three four", 2) == ("one two", 2)
    with pytest.raises(aicp.SpecialTokenError):
        tokenizer.count("<|endoftext|>", special="strict")
    assert tokenizer.count("<|endoftext|>", special="all") == 1
    with pytest.raises(aicp.NotFoundError):
        aicp.Tokenizer("nonsense")


def test_models_have_a_way_to_count():
    assert aicp.token_profile("azure/gpt-4o").encoding == "o200k_base"
    assert aicp.token_profile("nobody knows this").quality == "estimated"


def test_requests_are_priced():
    prices = aicp.PriceTable(PRICES, version="v1")
    assert len(prices) == 2 and prices.version == "v1"
    assert {p.key for p in prices} == {"gpt-4o", "free"}
    price = prices["openai/gpt-4o"]
    assert (price.provider, price.mode, price.max_output_tokens) == ("openai", "chat", 16384)
    assert price.femto("input_cost_per_token") == 2_500_000_000
    quote = prices.estimate(BODY)
    assert quote.output_cap == 10 and quote.input.quality == "exact"
    assert quote.cost_max_nano == quote.input.high * 2_500 + 10 * 10_000
    assert quote.cost_input_nano <= quote.cost_expected_nano <= quote.cost_p95_nano
    with pytest.raises(aicp.UnknownModelError):
        prices["none"]
    with pytest.raises(aicp.UnknownPriceError):
        prices["free"].cost({"prompt_tokens": 1})


def test_a_price_keeps_its_table_alive():
    price = aicp.PriceTable(PRICES)["gpt-4o"]
    assert price.key == "gpt-4o"


def test_overrides_lie_above_a_base():
    base = aicp.PriceTable(PRICES)
    over = aicp.PriceTable('{"gpt-4o": {"input_cost_per_token": 1e-6}}', base=base)
    assert over["gpt-4o"].femto("input_cost_per_token") == 10**9
    assert over["free"].key == "free"


def test_usage_becomes_a_charge():
    price = aicp.PriceTable(PRICES)["gpt-4o"]
    usage = aicp.parse_usage({"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050})
    cost = price.cost(usage)
    assert cost.total_nano == 1000 * 2_500 + 50 * 10_000
    assert sum(part.nano for part in cost.parts.values()) == cost.total_nano
    assert cost.parts["input"].quantity == 1000
    anthropic = aicp.parse_usage('{"input_tokens": 5, "cache_read_input_tokens": 7, "output_tokens": 3}')
    assert (anthropic["prompt_tokens"], anthropic["cache_read_tokens"]) == (12, 7)
    with pytest.raises(aicp.ParseError):
        aicp.parse_usage("[")


def test_requests_can_be_built_by_hand():
    request = aicp.CostRequest()
    request.model = "gpt-4o"
    request.add_message("user", bytearray(b"hello"))
    built = request.count()
    assert built.tokens == aicp.CostRequest(BODY).count().tokens
    request.add_image(512, 512, detail="low")
    request.add_tools([{"type": "function", "function": {"name": "f", "parameters": {}}}])
    assert request.count().tokens > built.tokens
    request.reset()
    assert request.model is None


# -- limits ----------------------------------------------------------------------------------------

RULES = [
    {"id": "rpm", "kind": "requests", "limit": 2, "window": "1m", "per": ["team"]},
    {"id": "tokens", "kind": "tokens", "limit": 100, "window": "1m", "per": ["team"]},
    {"id": "slots", "kind": "concurrency", "limit": 1, "per": ["user"]},
]


def test_limits_take_all_or_nothing():
    rules, limiter = aicp.LimitRules(RULES), aicp.Limiter()
    assert [r.id for r in rules] == ["rpm", "tokens", "slots"]
    assert rules[0].window == 60.0 and rules[0].kind == "requests"
    now = 10**12
    first = limiter.take(rules, team="blue", tokens=60, now_ns=now)
    assert first.allowed and "RateLimit" in first.headers and "Retry-After" not in first.headers
    second = limiter.take(rules, team="blue", tokens=60, now_ns=now)
    assert not second and second.rule == "tokens" and second.retry_after > 0
    assert second.headers["Retry-After"].isdigit()
    states = {s.rule: s.remaining for s in limiter.peek(rules, team="blue", tokens=1, now_ns=now)}
    assert states == {"rpm": 1, "tokens": 40}
    limiter.settle(first, 10, now_ns=now)
    assert limiter.take(rules, team="blue", tokens=60, now_ns=now).allowed
    assert limiter.take(rules, team="blue", tokens=101, now_ns=now).too_large
    stats = limiter.stats()
    assert stats["allowed"] == 2 and stats["denied"] >= 1


def test_slots_are_given_back():
    rules, limiter = aicp.LimitRules(RULES), aicp.Limiter()
    now = 10**12
    held = limiter.take(rules, user="ann", now_ns=now)
    assert not limiter.take(rules, user="ann", now_ns=now)
    limiter.renew(held, ttl=60, now_ns=now)
    limiter.cancel(held, now_ns=now)
    limiter.cancel(held, now_ns=now)
    assert limiter.take(rules, user="ann", now_ns=now)
    free = limiter.take(rules, model="m", now_ns=now)
    assert free.allowed and free.rule is None
    limiter.refund(free)
    limiter.flush(all=True)


def test_bad_rules_and_subjects_are_errors():
    with pytest.raises(aicp.AicpError):
        aicp.LimitRules('[{"id": "x"}]')
    with pytest.raises(TypeError, match="colour"):
        aicp.Limiter().take(aicp.LimitRules(RULES), colour="red")


def test_a_server_grants_slices_to_gates_without_a_store():
    lease = {
        "key": "cg==",
        "kind": "requests",
        "algorithm": "gcra",
        "limit": 3,
        "burst": 3,
        "window_ns": 60_000_000_000,
        "need": 2,
        "timeout_ns": 1_000_000_000,
    }
    message = {"format": "aicp-leases/1", "node": "n", "boot": "b"}
    with aicp.RateStore("sqlite::memory:") as store:
        answer = json.loads(store.serve(json.dumps({**message, "rates": [lease, lease]})))
        assert [grant["granted"] for grant in answer] == [2, 0]
        assert store.serve(json.dumps(message)) is None
        with pytest.raises(aicp.AicpError):
            store.serve("{}")


# -- guardrail -------------------------------------------------------------------------------------


def test_texts_are_masked():
    profile = aicp.GuardProfile({"name": "p", "version": 3, "pii": {"action": "mask"}})
    assert (profile.name, profile.version) == ("p", 3)
    scan = profile.scan("mail to bob.smith@example.com please")
    assert scan.action == "mask" and scan.text == "mail to <EMAIL_ADDRESS> please"
    (found,) = scan.findings
    assert (found.type, found.start, found.end, found.action) == ("EMAIL_ADDRESS", 8, 29, "mask")
    assert "bob.smith" not in found.preview
    assert 0 < scan.risk <= 1 and scan.matches == 1 and not scan.blocked
    clean = profile.scan("nothing to see")
    assert clean.text is None and clean.findings == [] and clean.action == "none"


def test_offsets_count_characters_too():
    scan = aicp.GuardProfile().scan("grüße an bob.smith@example.com")
    assert scan.findings[0].char_start == 9 and scan.findings[0].start == 11


def test_sessions_restore():
    profile = aicp.GuardProfile({"pii": {"action": "anonymize"}})
    with aicp.GuardSession() as session:
        scan = profile.scan("mail bob.smith@example.com", session=session)
        assert scan.text == "mail <EMAIL_ADDRESS_1>"
        assert len(session) == 1 and session.matches == 1 and session.risk > 0
        assert session.action == "anonymize"
        assert session.restore("to <EMAIL_ADDRESS_1>, not <EMAIL_ADDRESS_9>") == (
            "to bob.smith@example.com, not <EMAIL_ADDRESS_9>"
        )
        stream = profile.stream(session=session)
        out = stream.feed("to <EMAIL_") + stream.feed("ADDRESS_1> ") + stream.finish()
        assert out == "to bob.smith@example.com "
        assert stream.outcome.text is None
        with pytest.raises(aicp.StateError):
            stream.finish()
        session.reset()
        assert len(session) == 0


def test_the_rules_are_listed():
    rules = guard_rules()
    assert len(rules) > 10 and "EMAIL_ADDRESS" in {r.type for r in rules}
    assert all(r.id and r.description for r in rules)


def test_bad_profiles_are_placed():
    with pytest.raises(aicp.AicpError) as caught:
        aicp.GuardProfile('{"pii":\n {"actoin": "mask"}}')
    assert caught.value.line == 2


# -- budget ----------------------------------------------------------------------------------------


def test_a_control_plane_lists_accounts_and_what_is_in_flight(tmp_path):
    with aicp.Ledger(
        f"sqlite://{tmp_path}/ledger.db", mode="sync", journal=f"{tmp_path}/journal.db", keep=1e6
    ) as ledger:
        for team in ("blue", "green"):
            ledger.put(f"team:{team}", limit_nano=1000)
        ledger.put("user:ann", limit_nano=1000)
        ledger.reserve("one", ["team:blue"], 100, timeout=5.0)
        ledger.reserve("two", ["team:blue"], 200, timeout=5.0)
        ledger.settle("one", 60, timeout=5.0)
        rows = ledger.accounts("team:")
        assert [row.id for row in rows] == ["team:blue", "team:green"]
        assert (rows[0].spent_nano, rows[0].held_nano, rows[0].frozen) == (60, 200, False)
        assert [row.id for row in ledger.accounts(after="team:blue", limit=1)] == ["team:green"]
        (pending,) = ledger.in_flight("team:blue")
        assert (pending.id, pending.amount_nano, pending.dispatched) == ("two", 200, False)
        assert ledger.spend_since("team:blue", 0) == 60
        ledger.release("two")


def test_windows_follow_the_calendar():
    window = aicp.BudgetWindow("1mo", timezone="UTC")
    start, end = window.at(1_700_000_000 * 10**9)
    assert time.gmtime(start // 10**9)[:5] == (2023, 11, 1, 0, 0)
    assert time.gmtime(end // 10**9)[:5] == (2023, 12, 1, 0, 0)
    with pytest.raises(aicp.ParseError):
        aicp.BudgetWindow("now and then")
    with pytest.raises(aicp.NotFoundError):
        aicp.BudgetWindow("1d", timezone="Nowhere/City")


def test_the_ledger_reserves_settles_and_refuses(tmp_path):
    with aicp.Ledger(f"sqlite:///{tmp_path}/ledger.db", node="test") as ledger:
        ledger.put("team:blue", limit_nano=100, duration="1mo", soft_percent=(50,))
        held = ledger.reserve("one", ["team:blue"], 60, timeout=5)
        assert held.admitted and held.remaining_nano == 40
        assert ledger.reserve("one", ["team:blue"], 60, timeout=5).replayed
        refused = ledger.reserve("two", ["team:blue"], 60, timeout=5)
        assert not refused and refused.account == "team:blue" and refused.limit_nano == 100
        ledger.mark_dispatched("one")
        ledger.renew("one", 60)
        ledger.settle("one", 55)
        with pytest.raises(aicp.BudgetError):
            ledger.release("one")
        ledger.reserve("three", ["team:blue"], 10, timeout=5)
        ledger.release("three")
        ledger.flush()
        status = ledger.status("team:blue")
        assert (status.spent_nano, status.reserved_nano, status.remaining_nano) == (55, 0, 45)
        ledger.adjust("team:blue", "fix-1", -5, "refund")
        assert ledger.status("team:blue").spent_nano == 50
        (event,) = ledger.events()
        assert event.account == "team:blue" and event.threshold_percent == 50
        assert ledger.metrics()["admitted"] >= 2
        with pytest.raises(aicp.NotFoundError):
            ledger.reserve("x", ["nobody"], 1, timeout=5)
        ledger.give_back()
