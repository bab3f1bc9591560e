"""Logging in and out, who one is, what one may do."""

import json
import subprocess
import time

import aicp_dev


def test_the_master_key_opens_a_session(server):
    answer = server.call("POST", "/auth/login", {"api_key": server.master_key})
    assert answer.status == 200
    assert answer.body["token_type"] == "bearer" and answer.body["expires_in"] == 28800
    assert answer.headers["cache-control"] == "no-store"


def test_with_this_session_the_list_of_models_has_an_element_for_each_model(server, environment):
    login = json.dumps({"api_key": server.master_key})
    script = f"""
        TOKEN=$(curl -fsS {server.url}/auth/login -H 'Content-Type: application/json' -d '{login}' | jq -r .access_token)
        curl -fsS -H "Authorization: Bearer $TOKEN" {server.url}/api/v1/models | jq length
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(environment.admin("GET", "/model/info")["data"]) > 1


def test_wrong_empty_and_missing_keys_open_nothing(another):
    server = another()
    wrong = server.call("POST", "/auth/login", {"api_key": "sk-wrong"})
    assert wrong.status == 401, wrong.text
    assert wrong.headers["www-authenticate"] == "Bearer"
    assert wrong.body["detail"] == "Invalid API key"
    for body in ({"api_key": ""}, {}, {"api_key": None}, {"api_key": 7}, {"api_key": ["x"]}):
        assert server.call("POST", "/auth/login", body).status == 422, body


def test_guessing_is_slowed_down_even_for_who_then_has_the_right_key(another):
    server = another()
    for _ in range(5):
        assert server.call("POST", "/auth/login", {"api_key": "sk-guess"}).status == 401
    answer = server.call("POST", "/auth/login", {"api_key": server.master_key})
    assert answer.status == 429 and int(answer.headers["retry-after"]) >= 1


def test_successful_logins_are_not_counted_as_guesses(server):
    for _ in range(8):
        server.login()


def test_without_litellm_the_master_key_works_and_others_cannot_be_asked_about(another):
    server = another(LITELLM_URL="http://127.0.0.1:9")
    assert server.login().get("me/permissions")["is_platform_admin"]
    answer = server.call("POST", "/auth/login", {"api_key": "sk-somebody"})
    assert answer.status == 503, answer.text
    assert server.call("GET", "/ready").status == 503
    assert server.call("GET", "/health").body == {"status": "ok"}


def test_every_resource_of_litellm_says_503_while_it_is_away(another):
    admin = another(LITELLM_URL="http://127.0.0.1:9").login()
    for path in ("models", "keys", "teams", "budgets", "models/x", "teams/x", "budgets/x", "keys/" + "a" * 64):
        assert admin.call("GET", path).status == 503, path
    assert admin.call("POST", "teams", {"team_alias": "x"}).status == 503
    assert admin.call("POST", "keys/generate", {}).status == 503


def test_who_am_i(server, admin):
    for path in ("/auth/me", "/api/v1/auth/me"):
        me = server.call("GET", path, token=admin.token).body
        assert me["user_id"] == "admin" and me["is_admin"] and me["is_platform_admin"] and me["org_roles"] == {}
    permissions = admin.get("me/permissions")["permissions"]
    assert {"list", "get", "create", "update", "delete"} <= set(permissions["rate_limit"])


def test_logging_out_ends_this_session_only(server):
    first, second = server.login(), server.login()
    assert server.call("POST", "/auth/logout", token=first.token).status == 200
    answer = first.call("GET", "auth/me")
    assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert second.call("GET", "auth/me").status == 200


def test_a_session_that_ended_on_one_replica_ends_on_the_others(server, another):
    replica = another(store=server.store, JWT_SECRET_KEY=server.settings["JWT_SECRET_KEY"])
    session = server.login()
    assert replica.call("GET", "/auth/me", token=session.token).status == 200
    assert replica.call("POST", "/auth/logout", token=session.token).status == 200
    aicp_dev.wait_for(lambda: session.call("GET", "auth/me").status == 401, 2, 0.05)


def test_a_session_ends_when_the_rights_of_its_user_change(admin, organization, member):
    org = organization()
    user, session = member(org)
    assert session.get("auth/me")["org_roles"] == {org["id"]: "member"}
    time.sleep(1.1)  # sessions are cut by the second
    admin.put(f"organizations/{org['id']}/members/{user['id']}", {"role": "viewer"})
    aicp_dev.wait_for(lambda: session.call("GET", "auth/me").status == 401, 2, 0.05)


def test_rights_do_not_come_from_the_metadata_of_a_key(server, environment):
    key = environment.create_key(metadata={"is_admin": True, "role": "admin"})
    try:
        assert server.call("POST", "/auth/login", {"api_key": key}).status == 403
    finally:
        environment.admin("POST", "/key/delete", {"keys": [key]})


def test_every_login_is_written_down(server, admin):
    session = server.login()
    me = admin.get("audit-logs?resource_type=session&action=login&limit=1")[0]
    assert me["actor_id"] == "admin" and me["outcome"] == "success" and me["actor_ip"] == "127.0.0.1"
    assert session.token not in json.dumps(me)
