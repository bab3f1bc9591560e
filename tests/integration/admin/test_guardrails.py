"""Guardrail profiles, detectors, assignments and content policies, from a saved field to what a gate does."""

import json
import uuid

import aicp
import aicp_dev
import pytest
from admin_server import fields_at_fault

MAIL = "bob@example.com"


def open_gate(server, folder) -> aicp.Gate:
    """A gate by the rules of the server, once there are any."""
    aicp_dev.wait_for(lambda: server.service("GET", "bundle?node=tests&boot=tests&wait=0").status == 200, 30)
    return aicp.Gate(server.url, service_key=server.service_key, cache=folder / "cache", background=True)


@pytest.fixture
def gate(server, tmp_path):
    with open_gate(server, tmp_path) as opened:
        yield opened


@pytest.fixture
def team(environment) -> str:
    """A new team of the proxy."""
    return environment.create_team(aicp_dev.unique("guarded"))


@pytest.fixture
def profile(made):
    """profile(**fields) -> a profile of the test."""

    def make(**fields) -> dict:
        return made("guardrails", name=aicp_dev.unique("profile"), **fields)

    return make


def keyword(made, *words: str, **config) -> dict:
    return made(
        "detectors",
        name=uuid.uuid4().hex[:20],
        detector_type="keyword",
        config={"keywords": list(words), **config},
    )


def follow(admin, gate) -> None:
    """Waits until the gate goes by the newest rules."""

    def newest() -> bool:
        bundle = admin.get("gates/bundle")
        assert bundle["error"] is None, bundle
        return gate.bundle_version == str(bundle["revision"])

    aicp_dev.wait_for(newest, 20)


def ask(gate, team: str, text: str):
    """(HTTP status, what goes on to the model) of a question of the team."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
    with gate.check(json.dumps(body), key=f"key-of-{team}", team=team, wait=5) as decision:
        if not decision.allowed:
            return decision.http_status, None
        sent = json.loads(decision.body) if decision.body else body
        return 200, sent["messages"][0]["content"]


def test_a_default_profile_is_there(admin):
    rows = [row for row in admin.get("guardrails") if row["is_default"]]
    assert len(rows) == 1
    assert rows[0]["name"] == "default" and rows[0]["pii_action"] == "anonymize"
    assert rows[0]["enable_toxicity"] is False and rows[0]["toxicity_threshold"] is None


def test_what_cannot_act_cannot_be_stored(admin):
    name = aicp_dev.unique("profile")
    for fields, wrong in (
        ({"enable_toxicity": True}, "enable_toxicity"),
        ({"toxicity_threshold": 0.7}, "toxicity_threshold"),
        ({"enable_malicious_urls": True}, "enable_malicious_urls"),
        ({"pii_entities": ["PERSON"]}, "pii_entities"),
        ({"pii_entities": []}, "pii_entities"),
        ({"pii_action": "delete"}, "pii_action"),
        ({"prompt_injection_threshold": 1.1}, "prompt_injection_threshold"),
        ({"mode": "block"}, "mode"),
        ({"on_fail": "ignore"}, "on_error"),
        ({"banned_topics": ["\u200b"]}, "banned_topics"),
        ({"banned_topics": ["x" * 101]}, "banned_topics"),
        ({"is_default": True, "is_active": False}, "is_active"),
    ):
        answer = admin.call("POST", "guardrails", {"name": name, **fields})
        assert wrong in fields_at_fault(answer), (fields, answer.text)


def test_on_fail_is_another_name_of_on_error(profile):
    assert profile(on_fail="log")["on_error"] == "log"


def test_a_new_default_takes_it_from_the_old_one(another):
    admin = another().login()
    mine = admin.post("guardrails", {"name": "mine", "is_default": True})
    assert [row["id"] for row in admin.get("guardrails") if row["is_default"]] == [mine["id"]]


def test_the_test_tells_scores_spans_in_both_units_and_masks_matches(admin, profile):
    mine = profile(pii_action="mask", banned_topics=["gambling"])
    token = "gh" + "p_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
    answer = admin.post(f"guardrails/{mine['id']}/test", {"text": f"ä {MAIL} {token}"})
    assert answer["action"] == "mask" and answer["scanners"]["pii"] >= 0.9
    mail = answer["findings"][0]
    assert (mail["type"], mail["start"], mail["end"]) == ("EMAIL_ADDRESS", 2, 2 + len(MAIL))
    assert (mail["byte_start"], mail["byte_end"]) == (3, 3 + len(MAIL))
    assert token not in str(answer) and MAIL not in str(answer)
    assert answer["text"].startswith("ä <EMAIL_ADDRESS> ")
    blocked = admin.post(f"guardrails/{mine['id']}/test", {"text": "is GAMBLING fun?"})
    assert blocked["blocked"] and blocked["text"] is None and "BANNED_TOPIC" in blocked["reason"]
    assert admin.call("POST", "guardrails/nothing/test", {"text": "x"}).status == 404


def test_detectors_are_read_by_the_engine_on_save(admin):
    for kind, config in (
        ("regex", {"patterns": ["("]}),
        ("regex", {"patterns": ["a*"]}),
        ("regex", {"patterns": []}),
        ("regex", {"patterns": [{"label": "x"}]}),
        ("regex", {"keywords": ["x"]}),
        ("keyword", {"keywords": [""]}),
        ("keyword", {"keywords": ["x"], "action": "delete"}),
        ("pii", {"entity_types": ["person"]}),
    ):
        body = {"name": uuid.uuid4().hex[:20], "detector_type": kind, "config": config}
        wrong = fields_at_fault(admin.call("POST", "detectors", body))
        assert all(field.startswith("config") for field in wrong), (config, wrong)
    body = {"name": "n" * 32, "detector_type": "keyword", "config": {"keywords": ["x"]}}
    assert fields_at_fault(admin.call("POST", "detectors", body)) == {"name"}


def test_a_detector_is_tried_alone(admin, made):
    mine = keyword(made, "Blue Heron", label="code name")
    answer = admin.post(f"detectors/{mine['id']}/test", {"text": f"ä blue  HERON {MAIL}"})
    assert [match["label"] for match in answer["matches"]] == ["CODE_NAME"]
    match = answer["matches"][0]
    assert (match["start"], match["end"], match["byte_start"]) == (2, 13, 3)
    assert answer["text"] == f"ä <CODE_NAME> {MAIL}"
    cards = made(
        "detectors", name=uuid.uuid4().hex[:20], detector_type="pii", config={"entity_types": ["credit_card"]}
    )
    found = admin.post(f"detectors/{cards['id']}/test", {"text": "4111 1111 1111 1111, 4111 1111 1111 1112"})
    assert len(found["matches"]) == 1


def test_attaching_and_assigning_need_what_is_there(admin, made, profile, environment):
    mine, word = profile(), keyword(made, "heron")
    path = f"guardrails/{mine['id']}"
    assert admin.post(f"{path}/detectors/{word['id']}?priority=2") == {"status": "attached"}
    assert [row["id"] for row in admin.get(f"{path}/detectors")] == [word["id"]]
    assert admin.delete(f"{path}/detectors/{word['id']}") == {"status": "detached"}
    assert admin.call("DELETE", f"{path}/detectors/{word['id']}").status == 404
    assert admin.call("POST", f"{path}/detectors/nothing").status == 404
    assert admin.call("POST", f"guardrails/nothing/detectors/{word['id']}").status == 404
    assert admin.call("POST", f"{path}/assign/{aicp_dev.unique('no-team')}").status == 404
    assert admin.call("DELETE", f"{path}/assign/nobody").status == 404
    assert admin.call("POST", f"{path}/assign/nobody?priority=high").status == 422


def test_assignments_are_listed_with_the_proxys_name_of_the_team(admin, profile, team):
    low, high = profile(), profile()
    for mine, priority in ((low, 1), (high, 7)):
        assert admin.post(f"guardrails/{mine['id']}/assign/{team}?priority={priority}") == {"status": "assigned"}
    rows = admin.get(f"guardrail-assignments?team_id={team}")
    assert [(row["config_name"], row["priority"]) for row in rows] == [(high["name"], 7), (low["name"], 1)]
    assert {row["team_name"] for row in rows} == {team}
    admin.post(f"guardrails/{low['id']}/assign/{team}?priority=9")
    assert admin.get(f"guardrail-assignments?team_id={team}")[0]["config_name"] == low["name"]
    assert admin.delete(f"guardrails/{low['id']}/assign/{team}") == {"status": "unassigned"}


def test_the_scan_goes_by_the_rules_of_the_team(admin, made, profile, team):
    mine, word = profile(pii_action="log"), keyword(made, "heron", action="block", label="bird")
    admin.post(f"guardrails/{mine['id']}/detectors/{word['id']}")
    admin.post(f"guardrails/{mine['id']}/assign/{team}")
    clean = admin.post("scan", {"text": "good morning", "team_id": team})
    assert clean["clean"] and not clean["blocked"] and clean["matches"] == [] and clean["block_reasons"] == []
    found = admin.post("scan", {"text": f"heron {MAIL}", "team_id": team})
    assert found["blocked"] and found["block_reasons"] == [f"BIRD ({word['name']})"]
    assert found["matches"][0]["detector_id"] == word["id"]
    assert found["matches"][0]["detector_name"] == word["name"]
    assert found["matches"][1]["action"] == "log" and MAIL not in str(found["matches"])
    assert admin.call("POST", "scan", {"text": "x", "guardrail_id": "nothing"}).status == 404
    assert fields_at_fault(admin.call("POST", "scan", {})) == {"text"}


def test_content_policies_are_one_of_each_type(admin, team):
    path = f"teams/{team}/content-policies"
    assert admin.get(path) == []
    first = admin.put(path, {"policy_type": "redact", "config": {"keywords": ["heron"]}})
    second = admin.put(path, {"policy_type": "redact", "config": {"keywords": ["owl"]}})
    assert first["id"] == second["id"]
    assert [(row["policy_type"], row["config"]) for row in admin.get(path)] == [("redact", {"keywords": ["owl"]})]
    for body in (
        {"policy_type": "ban", "config": {"keywords": ["x"]}},
        {"policy_type": "block", "config": {}},
        {"policy_type": "block", "config": {"keywords": []}},
        {"policy_type": "block", "config": {"keywords": ["x"], "words": []}},
        {"policy_type": "block", "config": {"keywords": ["\u200b"]}},
    ):
        assert fields_at_fault(admin.call("PUT", path, body)), body
    admin.put(path, {"policy_type": "redact", "config": {"keywords": ["owl"]}, "is_active": False})


def test_a_gate_goes_by_what_was_saved(admin, gate, made, profile, team):
    follow(admin, gate)
    status, sent = ask(gate, team, f"write to {MAIL}")
    assert (status, sent) == (200, "write to <EMAIL_ADDRESS_1>")  # the default restores

    mine = profile(pii_action="mask", banned_topics=["gambling"])
    admin.post(f"guardrails/{mine['id']}/assign/{team}?priority=5")
    follow(admin, gate)
    assert ask(gate, team, f"write to {MAIL}") == (200, "write to <EMAIL_ADDRESS>")
    assert ask(gate, team, "is gambling fun?") == (400, None)

    word = keyword(made, "Blue Heron", label="code name")
    admin.post(f"guardrails/{mine['id']}/detectors/{word['id']}")
    follow(admin, gate)
    assert ask(gate, team, "the blue heron flies") == (200, "the <CODE_NAME> flies")

    path = f"teams/{team}/content-policies"
    admin.put(path, {"policy_type": "block", "config": {"keywords": ["roulette"]}})
    follow(admin, gate)
    assert ask(gate, team, "roulette") == (400, None)
    assert ask(gate, team, "the blue heron flies") == (200, "the <CODE_NAME> flies")
    assert ask(gate, "another-team", "roulette") == (200, "roulette")

    admin.put(path, {"policy_type": "block", "config": {"keywords": ["roulette"]}, "is_active": False})
    admin.put(f"guardrails/{mine['id']}", {"mode": "observe"})
    follow(admin, gate)
    assert ask(gate, team, f"roulette, gambling, {MAIL}") == (200, f"roulette, gambling, {MAIL}")


def test_without_the_setting_nothing_is_looked_at(another, tmp_path):
    server = another()
    admin = server.login()
    admin.put("settings", {"enable_guardrails": False})
    with open_gate(server, tmp_path) as gate:
        follow(admin, gate)
        assert ask(gate, "any", MAIL) == (200, MAIL)


def test_refusals_are_events_without_what_was_refused(admin, gate, profile, team):
    mine = profile(pii_action="block")
    admin.post(f"guardrails/{mine['id']}/assign/{team}")
    follow(admin, gate)
    assert ask(gate, team, f"write to {MAIL}") == (400, None)
    gate.flush()
    rows = aicp_dev.wait_for(lambda: admin.get(f"guardrail-events?team_id={team}&event_type=input_blocked"), 20)
    assert len(rows) == 1
    assert rows[0]["action_taken"] == "blocked" and rows[0]["scanner_name"] == "EMAIL_ADDRESS (email)"
    assert rows[0]["risk_score"] > 0 and MAIL not in str(rows)
