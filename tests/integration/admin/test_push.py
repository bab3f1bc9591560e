"""Limits of enforcer litellm: told to the real LiteLLM, kept as they shall be, and taken away again."""

import contextlib
import hashlib

import pytest

import aicp_dev
from admin_server import fields_at_fault, free_port


class Proxy:
    """What LiteLLM itself says of its objects."""

    def __init__(self, environment: aicp_dev.Environment) -> None:
        self.environment = environment

    def team(self, team: str) -> dict:
        return self.environment.admin("GET", f"/team/info?team_id={team}")["team_info"]

    def key(self, key: str) -> dict:
        return self.environment.admin("GET", f"/key/info?key={key}")["info"]

    def user(self, user: str) -> dict:
        return self.environment.admin("GET", f"/user/info?user_id={user}")["user_info"]

    def change_team(self, team: str, **fields) -> None:
        self.environment.admin("POST", "/team/update", {"team_id": team, **fields})


@pytest.fixture
def proxy(environment) -> Proxy:
    return Proxy(environment)


@pytest.fixture
def team(environment):
    """team(**fields) -> the id of a new team of LiteLLM's."""
    made = []

    def make(**fields) -> str:
        made.append(environment.create_team(aicp_dev.unique("push"), **fields))
        return made[-1]

    yield make
    for name in made:
        with contextlib.suppress(aicp_dev.AdminError):
            environment.admin("POST", "/team/delete", {"team_ids": [name]})


@pytest.fixture
def policy(made):
    """policy(scope, scope_value, **fields) -> a policy that LiteLLM enforces."""

    def make(scope: str, scope_value: str | None, **fields) -> dict:
        return made("rate-limits", **{
            "name": aicp_dev.unique("limit"), "scope": scope, "scope_value": scope_value, "enforcer": "litellm", **fields
        })

    return make


def settled(admin: aicp_dev.Admin, item: dict, status: str = "ok", seconds: float = 10) -> dict:
    """The policy, once it has this sync_status."""

    def found() -> dict | None:
        row = admin.get(f"rate-limits/{item['id']}")
        return row if row["sync_status"] == status else None

    return aicp_dev.wait_for(found, seconds, 0.05)


def subject(admin: aicp_dev.Admin, kind: str, name: str) -> dict | None:
    rows = admin.get(f"rate-limits/sync?kind={kind}&subject={name}")
    assert len(rows) <= 1
    return rows[0] if rows else None


def test_a_teams_limits_reach_litellm_and_go_with_the_policy(admin, policy, team, proxy):
    name = team(tpm_limit=77)
    item = policy("team", name, rpm_limit=9)
    assert item["sync_status"] == "pending", "the write does not wait for LiteLLM"
    row = settled(admin, item)
    assert row["synced_at"] and row["sync_message"] is None
    assert proxy.team(name)["rpm_limit"] == 9
    assert proxy.team(name)["tpm_limit"] == 77, "what nobody asked for is not touched"

    admin.put(f"rate-limits/{item['id']}", {"rpm_limit": None, "tpm_limit": 50})
    settled(admin, item)
    assert (proxy.team(name)["rpm_limit"], proxy.team(name)["tpm_limit"]) == (None, 50)

    admin.delete(f"rate-limits/{item['id']}")
    aicp_dev.wait_for(lambda: proxy.team(name)["tpm_limit"] is None, 10)
    aicp_dev.wait_for(lambda: subject(admin, "team", name) is None, 10)


def test_the_strictest_of_several_holds(admin, policy, team, proxy):
    name = team()
    loose = policy("team", name, rpm_limit=9, tpm_limit=100)
    strict = policy("team", name, rpm_limit=4, tpm_limit=200)
    settled(admin, loose), settled(admin, strict)
    assert (proxy.team(name)["rpm_limit"], proxy.team(name)["tpm_limit"]) == (4, 100)
    row = subject(admin, "team", name)
    assert sorted(row["policies"]) == sorted([loose["id"], strict["id"]])
    assert row["wanted"] == row["pushed"] == row["actual"] == {"rpm_limit": 4, "tpm_limit": 100}
    admin.delete(f"rate-limits/{strict['id']}")
    aicp_dev.wait_for(lambda: proxy.team(name)["rpm_limit"] == 9, 10)


def test_limits_of_a_teams_models_are_merged_into_its_metadata(admin, policy, team, proxy):
    name = team(metadata={"cost_center": "7"}, model_rpm_limit={"theirs": 3})
    first = policy("team_model", f"{name}:gpt-4o", rpm_limit=5, tpm_limit=600)
    second = policy("team_model", f"{name}:openai/o3:high", rpm_limit=2)
    settled(admin, first), settled(admin, second)
    metadata = proxy.team(name)["metadata"]
    assert metadata["cost_center"] == "7"
    assert metadata["model_rpm_limit"] == {"theirs": 3, "gpt-4o": 5, "openai/o3:high": 2}
    assert metadata["model_tpm_limit"] == {"gpt-4o": 600}

    admin.delete(f"rate-limits/{first['id']}")
    aicp_dev.wait_for(lambda: "gpt-4o" not in proxy.team(name)["metadata"]["model_rpm_limit"], 10)
    metadata = proxy.team(name)["metadata"]
    assert metadata["cost_center"] == "7"
    assert metadata["model_rpm_limit"] == {"theirs": 3, "openai/o3:high": 2}
    assert metadata["model_tpm_limit"] == {}


def test_keys_and_users_get_theirs(admin, policy, environment, proxy):
    user = aicp_dev.unique("push-user")
    environment.admin("POST", "/user/new", {"user_id": user, "auto_create_key": False})
    key = environment.create_key(user_id=user)
    name = hashlib.sha256(key.encode()).hexdigest()
    of_key = policy("key", name, rpm_limit=6, tpm_limit=60, max_parallel_requests=2)
    of_user = policy("user", user, rpm_limit=8)
    settled(admin, of_key), settled(admin, of_user)
    info = proxy.key(name)
    assert (info["rpm_limit"], info["tpm_limit"], info["max_parallel_requests"]) == (6, 60, 2)
    assert proxy.user(user)["rpm_limit"] == 8
    admin.delete(f"rate-limits/{of_key['id']}")
    admin.delete(f"rate-limits/{of_user['id']}")
    aicp_dev.wait_for(lambda: proxy.user(user)["rpm_limit"] is None, 10)
    aicp_dev.wait_for(lambda: proxy.key(name)["max_parallel_requests"] is None, 10)
    assert proxy.key(name)["rpm_limit"] is None
    environment.admin("POST", "/key/delete", {"keys": [key]})


def test_litellm_refuses_by_what_it_was_told(admin, policy, team, environment):
    name = team()
    key = environment.create_key(team_id=name)
    settled(admin, policy("team", name, rpm_limit=1))
    answers = [environment.chat(key, "gpt-4o-mini", "hello").status for _ in range(3)]
    assert answers[0] == 200 and 429 in answers, answers


@pytest.mark.parametrize("change", [{"is_active": False}, {"enforcer": "gate"}])
def test_a_policy_that_litellm_shall_not_enforce_any_more_is_cleared(admin, policy, team, proxy, change):
    name = team()
    item = policy("team", name, rpm_limit=3)
    settled(admin, item)
    admin.put(f"rate-limits/{item['id']}", change)
    aicp_dev.wait_for(lambda: proxy.team(name)["rpm_limit"] is None, 10)
    row = settled(admin, item, None if "enforcer" in change else "ok")
    assert row["sync_message"] is None


def test_a_policy_that_moves_to_another_team_leaves_nothing_behind(admin, policy, team, proxy):
    old, new = team(), team()
    item = policy("team", old, rpm_limit=3)
    settled(admin, item)
    admin.put(f"rate-limits/{item['id']}", {"scope_value": new})
    aicp_dev.wait_for(lambda: proxy.team(old)["rpm_limit"] is None, 10)
    aicp_dev.wait_for(lambda: proxy.team(new)["rpm_limit"] == 3, 10)


def test_policies_of_the_gate_are_never_pushed(admin, made, team, proxy):
    name = team()
    item = made("rate-limits", name=aicp_dev.unique("limit"), scope="team", scope_value=name, rpm_limit=3)
    assert item["enforcer"] == "gate" and item["sync_status"] is None
    admin.post("rate-limits/sync", {})
    assert proxy.team(name)["rpm_limit"] is None
    assert subject(admin, "team", name) is None


def test_drift_is_shown_and_set_again(admin, policy, team, proxy):
    name = team()
    item = policy("team", name, rpm_limit=5)
    settled(admin, item)
    proxy.change_team(name, rpm_limit=500)
    row = subject(admin, "team", name)
    if row["drift"]:  # unless the chore was there first
        assert row["status"] == "drift" and row["actual"] == {"rpm_limit": 500}
    result = admin.post("rate-limits/sync", {})
    assert result["failed"] == 0 and result["left"] == 0 and result["ok"] >= 1
    (row,) = [row for row in result["subjects"] if row["subject"] == name]
    assert row["actual"] == {"rpm_limit": 5} and row["status"] == "ok" and not row["drift"]
    assert proxy.team(name)["rpm_limit"] == 5
    assert "rpm_limit was 500" in settled(admin, item)["sync_message"]


def test_drift_is_found_without_being_asked(admin, policy, team, proxy):
    name = team()
    item = policy("team_model", f"{name}:gpt-4o", rpm_limit=5)
    settled(admin, item)
    proxy.change_team(name, model_rpm_limit={})
    aicp_dev.wait_for(lambda: proxy.team(name)["metadata"]["model_rpm_limit"] == {"gpt-4o": 5}, 45)


def test_limits_of_a_team_go_with_the_team(admin, policy, team):
    name = team()
    whole, model = policy("team", name, rpm_limit=5), policy("team_model", f"{name}:gpt-4o", rpm_limit=5)
    other = policy("team_model", f"{name}-2:gpt-4o", rpm_limit=5)
    settled(admin, whole), settled(admin, model)
    admin.post("teams/delete", {"team_ids": [name]})
    assert admin.call("GET", f"rate-limits/{whole['id']}").status == 404
    assert admin.call("GET", f"rate-limits/{model['id']}").status == 404
    assert admin.call("GET", f"rate-limits/{other['id']}").status == 200
    aicp_dev.wait_for(lambda: subject(admin, "team", name) is None, 10)


def test_an_unknown_team_is_told_of_and_forgotten_with_the_policy(admin, policy, environment, proxy):
    name = aicp_dev.unique("late")
    item = policy("team", name, rpm_limit=5)
    assert "knows no team" in settled(admin, item, "failed")["sync_message"]
    environment.create_team(name)
    settled(admin, item, seconds=40)
    assert proxy.team(name)["rpm_limit"] == 5
    environment.admin("POST", "/team/delete", {"team_ids": [name]})
    admin.delete(f"rate-limits/{item['id']}")
    aicp_dev.wait_for(lambda: subject(admin, "team", name) is None, 10)


@pytest.mark.parametrize(
    "fields, fault",
    [
        ({"scope": "global", "scope_value": None, "rpm_limit": 1}, "enforcer"),
        ({"scope": "model", "scope_value": "gpt-4o", "rpm_limit": 1}, "enforcer"),
        ({"scope": "user_model", "scope_value": "u:gpt-4o", "rpm_limit": 1}, "enforcer"),
        ({"scope": "team", "scope_value": "team-*", "rpm_limit": 1}, "scope_value"),
        ({"scope": "team", "scope_value": "t", "rpm_limit": 0}, "rpm_limit"),
        ({"scope": "team", "scope_value": "t", "rpd_limit": 5}, "rpd_limit"),
        ({"scope": "team", "scope_value": "t", "max_parallel_requests": 5}, "max_parallel_requests"),
        ({"scope": "team", "scope_value": "t", "rpm_limit": 5, "burst_multiplier": 2}, "burst_multiplier"),
    ],
)
def test_what_litellm_cannot_hold_is_refused(admin, fields, fault):
    answer = admin.call("POST", "rate-limits", {"name": aicp_dev.unique("limit"), "enforcer": "litellm", **fields})
    assert fault in fields_at_fault(answer)
    (error,) = [error for error in answer.body["errors"] if error["field"] == fault]
    assert "LiteLLM" in error["message"]


def test_only_admins_push_and_look(organization, member):
    _, session = member(organization(), "org_admin")
    assert session.call("GET", "rate-limits/sync").status == 403
    assert session.call("POST", "rate-limits/sync", {}).status == 403


def test_nothing_is_lost_while_litellm_is_away(another, team, proxy):
    nowhere = f"http://127.0.0.1:{free_port()}"
    away = another(LITELLM_URL=nowhere)
    admin = away.login()
    name = team()
    fields = {"name": "away", "scope": "team", "scope_value": name, "enforcer": "litellm", "rpm_limit": 5}
    item = admin.post("rate-limits", fields)
    assert settled(admin, item, "failed")["sync_message"]
    result = admin.post("rate-limits/sync", {})
    assert result["failed"] == 1 and result["subjects"][0]["status"] == "failed"
    row = subject(admin, "team", name)
    assert row["actual"] is None and row["wanted"] == {"rpm_limit": 5} and row["status"] == "failed"
    away.end()

    back = another(store=away.store)
    settled(back.login(), item, seconds=45)
    assert proxy.team(name)["rpm_limit"] == 5
    back.end()

    away = another(store=away.store, LITELLM_URL=nowhere)
    admin = away.login()
    admin.delete(f"rate-limits/{item['id']}")
    aicp_dev.wait_for(lambda: (subject(admin, "team", name) or {}).get("status") == "failed", 10)
    assert subject(admin, "team", name)["pushed"] == {"rpm_limit": 5}
    away.end()
    another(store=away.store)
    aicp_dev.wait_for(lambda: proxy.team(name)["rpm_limit"] is None, 45)
