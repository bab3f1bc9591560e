"""What if: drafts of policies asked the questions of callers and of recorded decisions. Nothing is saved by it."""

import secrets

import aicp_dev
import pytest
from admin_server import fields_at_fault


@pytest.fixture
def recorded(server):
    """recorded(**fields) -> sends a gate's decision event, as a gate tells it."""
    node, boot, sequence = aicp_dev.unique("node"), secrets.token_hex(8), iter(range(1000))

    def send(**fields) -> None:
        event = {
            "event": "decision",
            "time": "2026-11-20T10:00:00Z",
            "boot": boot,
            "sequence": next(sequence),
            "node": node,
            "key": "k1",
            "model": "gpt-4o",
            "action": "chat",
            "verdict": "allow",
            "stream": False,
            "output_cap": 100,
            "input_tokens": 10,
            **fields,
        }
        answer = server.service("POST", "events", {"format": "aicp-events/1", "node": node, "boot": boot, "dropped": 0, "events": [event]})
        assert answer.status == 200, answer.body

    return send


def forbid(team: str, condition: str = "true") -> dict:
    name = aicp_dev.unique("draft")
    text = f'@id("{name}") forbid (principal in AICP::Team::"{team}", action, resource) when {{ {condition} }};'
    return {"name": name, "text": text}


@pytest.fixture
def everyone(made) -> str:
    """A policy in force that permits all; its id among reasons."""
    name = aicp_dev.unique("all")
    made("policies", name=name, text=f'@id("{name}") permit (principal, action, resource);')
    return name


def test_a_draft_shows_what_it_would_change_and_changes_nothing(admin, everyone):
    draft = forbid("drafted", "context.tools.contains(\"shell\")")
    before = admin.get("policies")
    questions = [
        {"model": "gpt-4o", "team": "drafted", "tools": ["shell"]},
        {"model": "gpt-4o", "team": "drafted"},
        {"model": "gpt-4o", "team": "other", "tools": ["shell"]},
    ]
    answer = admin.post("policies/simulate", {"text": draft["text"], "requests": questions})
    assert [a["changed"] for a in answer["answers"]] == [True, False, False]
    first = answer["answers"][0]
    assert first["request"] == questions[0]
    assert first["live"]["decision"] == "allow" and everyone in first["live"]["reasons"]
    assert first["draft"] == {"decision": "deny", "reasons": [draft["name"]], "errors": []}
    assert (answer["asked"], answer["newly_denied"], answer["newly_allowed"]) == (3, 1, 0)
    assert (answer["allowed_live"], answer["allowed_draft"]) == (3, 2)
    assert admin.get("policies") == before


def test_a_draft_stands_for_a_policy_or_takes_it_away(admin, made, everyone):
    policy = made("policies", **forbid("blocked"))
    question = {"model": "gpt-4o", "team": "blocked"}
    gone = admin.post("policies/simulate", {"policy_id": policy["id"], "requests": [question]})
    assert gone["newly_allowed"] == 1 and gone["answers"][0]["live"]["reasons"] == [policy["name"]]
    other = policy["text"].replace("when { true }", 'when { context.model like "gpt-5*" }')
    changed = admin.post("policies/simulate", {"policy_id": policy["id"], "text": other, "requests": [question]})
    assert changed["newly_allowed"] == 1 and changed["new_errors"] == 0
    assert admin.get(f"policies/{policy['id']}")["text"] == policy["text"]


def test_recorded_decisions_are_asked_again(admin, recorded, everyone):
    team = aicp_dev.unique("team")
    recorded(team=team, tools=["shell"])
    recorded(team=team)
    recorded(team=team, tools=["shell"], tools_cut=True)
    recorded(team=aicp_dev.unique("team"), tools=["shell"])
    draft = forbid(team, 'context.tools.contains("shell")')
    answer = admin.post("policies/simulate", {"text": draft["text"], "recorded": 1000, "team_id": team})
    assert (answer["asked"], answer["incomplete"], answer["newly_denied"]) == (2, 1, 1)
    assert len(answer["answers"]) == 1
    assert answer["answers"][0]["request"]["tools"] == ["shell"]
    assert answer["answers"][0]["draft"]["reasons"] == [draft["name"]]
    later = {"text": draft["text"], "recorded": 1000, "team_id": team, "since": "2026-11-21T00:00:00Z"}
    assert admin.post("policies/simulate", later)["asked"] == 0
    assert admin.post("policies/simulate", {**later, "since": "2026-11-20T09:00:00Z", "recorded": 1})["asked"] <= 1


def test_a_policy_that_errs_is_told(admin, everyone):
    draft = forbid("erring", "context.input_tokens * 9223372036854775807 > 1")
    answer = admin.post(
        "policies/simulate", {"text": draft["text"], "requests": [{"model": "gpt-4o", "team": "erring", "input_tokens": 2}]}
    )
    assert answer["new_errors"] == 1
    assert answer["answers"][0]["draft"]["errors"][0]["policy"] == draft["name"]


def test_what_cannot_be_simulated_is_refused_with_its_place(admin, made, everyone):
    good = forbid("x")
    wrong = [
        ({}, "text"),
        ({"text": "permit (\n  principal,,\n);"}, "text"),
        ({"policy_id": "nobody"}, "policy_id"),
        ({"text": forbid("x", "context.nothing == 1")["text"]}, "text"),
        ({"text": good["text"], "requests": [{"team": "x"}]}, "requests"),
        ({"text": good["text"], "requests": {}}, "requests"),
        ({"text": good["text"], "recorded": 10**9}, "recorded"),
        ({"text": f'@id("{everyone}") permit (principal, action, resource);'}, "text"),
    ]
    for body, field in wrong:
        answer = admin.call("POST", "policies/simulate", body)
        assert fields_at_fault(answer) == {field}, (body, answer.body)
    said = admin.call("POST", "policies/simulate", wrong[1][0]).body["errors"][0]["message"]
    assert said.startswith("line 2, column 13")


def test_only_the_platforms_admins_simulate(member, organization):
    _, session = member(organization(), "org_admin")
    assert session.call("POST", "policies/simulate", {"text": forbid("x")["text"]}).status == 403
