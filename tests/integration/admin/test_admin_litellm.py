"""Models, keys, teams and budgets: LiteLLM's own, through its real API."""

import hashlib
import json

import aicp_dev
import pytest
from admin_server import fields_at_fault


@pytest.fixture
def new_key(admin):
    """new_key(**fields) -> LiteLLM's answer with the key in it; the key is deleted after the test."""
    made = []

    def make(**fields) -> dict:
        made.append(admin.post("keys/generate", fields))
        return made[-1]

    yield make
    for answer in made:
        admin.call("POST", "keys/delete", {"keys": [answer["key"]]})


def token(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def test_a_key_is_shown_once_and_then_by_its_hash(server, admin, new_key):
    answer = admin.call("POST", "keys/generate", {"key_alias": aicp_dev.unique("a"), "max_budget": 5, "rpm_limit": 7})
    assert answer.headers["cache-control"] == "no-store"
    key = answer.body["key"]
    row = admin.get(f"keys/{token(key)}")
    assert row["token"] == row["id"] == token(key) and row["max_budget"] == 5 and row["rpm_limit"] == 7
    listed = admin.call("GET", f"keys?key_alias={answer.body['key_alias']}")
    assert [item["token"] for item in listed.body] == [token(key)]
    entries = admin.call("GET", "audit-logs?resource_type=key&limit=20")
    for text in (listed.text, json.dumps(row), entries.text, server.log.read_text()):
        assert key not in text
    assert admin.call("GET", f"keys/{key}").status == 404  # a raw key in a path would end up in logs
    assert admin.post("keys/delete", {"keys": [key]})["status"] == "deleted"
    assert admin.call("GET", f"keys/{token(key)}").status == 404
    assert key not in admin.call("GET", "audit-logs?resource_type=key&limit=20").text
    assert key not in server.log.read_text()


def test_null_lifts_a_limit_of_a_key(admin, new_key):
    key = new_key(max_budget=5, rpm_limit=7)["key"]
    admin.post("keys/update", {"key": key, "max_budget": None, "rpm_limit": None})
    row = admin.get(f"keys/{token(key)}")
    assert row["max_budget"] is None and row["rpm_limit"] is None
    admin.post("keys/update", {"key": token(key), "max_budget": 0})
    assert admin.get(f"keys/{token(key)}")["max_budget"] == 0


def test_all_pages_of_litellm_are_read(another, environment):
    admin, alias = another().login(), aicp_dev.unique("many")
    keys = [environment.create_key(key_alias=f"{alias}-{n}") for n in range(101)]
    try:
        rows = admin.get(f"keys?q={alias}&limit=1000")
        assert {row["token"] for row in rows} == {token(key) for key in keys}
    finally:
        environment.admin("POST", "/key/delete", {"keys": keys})


@pytest.mark.parametrize(
    "path, body, field",
    [
        ("keys/generate", {"max_budget": -1}, "max_budget"),
        ("keys/generate", {"rpm_limit": 1.5}, "rpm_limit"),
        ("keys/generate", {"duration": "soon"}, "duration"),
        ("keys/generate", {"unknown": 1}, "unknown"),
        ("keys/update", {"max_budget": 1}, "key"),
        ("keys/delete", {}, "keys"),
        ("keys/delete", {"keys": []}, "keys"),
        ("teams", {}, "team_alias"),
        ("teams/update", {"team_alias": "x"}, "team_id"),
        ("teams/delete", {}, "team_ids"),
        ("teams/x/members", {}, "member"),
        ("teams/x/members/delete", {}, "user_id"),
        ("budgets", {"max_budget": 1, "soft_budget": 2}, "soft_budget"),
        ("budgets", {"max_budget": -1}, "max_budget"),
        ("budgets/update", {"max_budget": 1}, "budget_id"),
        ("budgets/delete", {}, "id"),
        ("models", {"model_name": "m"}, "litellm_params"),
        ("models", {"litellm_params": {"model": "openai/x"}}, "model_name"),
        ("models/delete", {}, "id"),
    ],
    ids=str,
)
def test_what_is_missing_or_wrong_is_named_before_litellm_is_asked(admin, path, body, field):
    assert field in fields_at_fault(admin.call("POST", path, body))


def test_a_team_from_its_beginning_to_its_end(admin, environment):
    name = aicp_dev.unique("team")
    team = admin.post("teams", {"team_alias": name, "max_budget": 3, "tpm_limit": 10})["team_id"]
    limit = admin.post("rate-limits", {"name": name, "scope": "team", "scope_value": team, "rpm_limit": 1})
    info = admin.get(f"teams/{team}")
    assert info["team_info"]["team_alias"] == name and info["keys"] == []
    assert [row["max_budget"] for row in admin.get(f"teams?team_alias={name}")] == [3]
    admin.post("teams/update", {"team_id": team, "max_budget": None})
    assert admin.get(f"teams/{team}")["team_info"]["max_budget"] is None
    admin.post(f"teams/{team}/members", {"member": {"user_id": name, "role": "user"}})
    members = admin.get(f"teams/{team}")["team_info"]["members_with_roles"]
    assert name in [m["user_id"] for m in members]
    admin.post(f"teams/{team}/members/delete", {"user_id": name})
    assert name not in [m["user_id"] for m in admin.get(f"teams/{team}")["team_info"]["members_with_roles"]]
    assert admin.post("teams/delete", {"team_ids": [team]})["status"] == "deleted"
    assert admin.call("GET", f"teams/{team}").status == 404
    assert admin.call("GET", f"rate-limits/{limit['id']}").status == 404
    actions = [entry["action"] for entry in admin.get("audit-logs?resource_type=team&limit=5&sort=id")]
    assert set(actions) <= {"create", "update", "add_member", "remove_member", "delete"}
    assert team in [entry["resource_id"] for entry in admin.get("audit-logs?resource_type=team&limit=20")]


def test_a_budget_profile_tells_how_many_keys_have_it(admin, environment, new_key):
    name = aicp_dev.unique("budget")
    admin.post("budgets", {"budget_id": name, "max_budget": 10, "soft_budget": 5, "budget_duration": "30d"})
    try:
        profile = admin.get(f"budgets/{name}")
        assert (profile["max_budget"], profile["soft_budget"], profile["budget_duration"]) == (10, 5, "30d")
        new_key(budget_id=name)
        assert admin.get(f"budgets/{name}")["key_count"] == 1
        admin.post("budgets/update", {"budget_id": name, "max_budget": 20})
        assert admin.get(f"budgets/{name}")["max_budget"] == 20
        assert name in [row["budget_id"] for row in admin.get("budgets?limit=1000")]
    finally:
        admin.post("budgets/delete", {"id": name})
    assert admin.call("GET", f"budgets/{name}").status == 404


def test_a_model_from_its_beginning_to_its_end(admin, environment):
    name = aicp_dev.unique("model") + "/with/slashes"
    body = {"model_name": name, "litellm_params": {"model": "openai/echo", "api_base": environment.echo, "api_key": "x"}}
    before = len(admin.get("models?limit=1000"))
    admin.post("models", body)
    model = aicp_dev.wait_for(lambda: next(iter(admin.get(f"models?model_name={name}")), None))
    try:
        assert admin.get(f"models/{name}")["id"] == model["id"]
        assert len(admin.get("models?limit=1000")) == before + 1
    finally:
        admin.post("models/delete", {"id": model["id"]})
    aicp_dev.wait_for(lambda: len(admin.get("models?limit=1000")) == before)
    assert admin.call("GET", f"models/{name}").status == 404


def test_what_litellm_refuses_is_refused_with_its_own_words(admin):
    for path, body in (
        ("models/delete", {"id": "no-such-model"}),
        ("teams/update", {"team_id": "no-such-team", "max_budget": 1}),
        ("keys/update", {"key": token("sk-nobody"), "max_budget": 1}),
        ("teams/no-such-team/members", {"member": {"user_id": "u", "role": "user"}}),
    ):
        answer = admin.call("POST", path, body)
        assert 400 <= answer.status < 500, (path, answer.text)
        assert isinstance(answer.body["detail"], str) and len(answer.body["detail"]) > 10, answer.text
    entry = admin.get("audit-logs?outcome=failure&limit=1")[0]
    assert entry["resource_type"] == "team" and entry["action"] == "add_member"
