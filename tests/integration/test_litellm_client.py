"""Every call of the client (litellm.h) against the real proxy, and what it really answers: where LiteLLM changes, this tells.

What stands in the comments of the header about answers is held here.
"""

import datetime
import hashlib
import socket
import threading

import aicp
import aicp_dev
import pytest


@pytest.fixture(scope="module")
def client(proxy):
    with aicp.LiteLLMClient(proxy.url, proxy.master_key, timeout=30) as opened:
        yield opened


@pytest.fixture
def refused():
    """refused(call, *arguments, **fields) -> the error, which must come."""

    def call(function, *arguments, **fields) -> aicp.AicpError:
        with pytest.raises(aicp.AicpError) as caught:
            function(*arguments, **fields)
        return caught.value

    return call


def days() -> dict[str, str]:
    today = datetime.datetime.now(datetime.timezone.utc).date()
    return {"start_date": str(today - datetime.timedelta(days=1)), "end_date": str(today + datetime.timedelta(days=1))}


# ---- health and configuration ----


def test_health(client):
    assert client.health() == {"status": "healthy", "db": "connected"}
    assert client.health_details()["litellm_version"]
    assert client.liveness() == "I'm alive!"
    assert {"in_flight_requests", "queued_requests"} <= client.backlog().keys()
    assert "latest_health_checks" in client.model_health_latest()


def test_the_health_of_the_models(client):
    health = client.model_health()
    assert health["healthy_count"] == len(health["healthy_endpoints"]) >= 1


def test_settings_can_be_read(client, refused):
    assert client.router_settings()["current_values"]["routing_strategy"]
    assert client.config_callbacks()["router_settings"]
    assert {entry["field_name"] for entry in client.config_list(config_type="general_settings")}
    assert client.cache_settings()["fields"]
    assert "aicp" in [entry["guardrail_name"] for entry in client.guardrails()["guardrails"]]
    away = refused(client.cache_ping)
    assert (away.status, away.type, away.relay) == (503, "cache_ping_error", 502)


def test_settings_of_the_configuration_file_stay_its_owners(client, refused):
    name = aicp_dev.unique("alias")
    client.config_update(router_settings={"model_group_alias": {name: "gpt-4o"}})
    try:
        assert client.router_settings()["current_values"]["model_group_alias"] == {name: "gpt-4o"}
    finally:
        client.config_update(router_settings={"model_group_alias": {}})
    error = refused(client.config_update, router_settings={"fallbacks": []})
    assert error.status == error.relay == 400
    assert error.message.startswith("router_settings key 'fallbacks' is set in the config file and cannot be changed here.")


def test_fallbacks(client, refused):
    model = "text-embedding-3-small"  # no other test wants it to fall back or not to
    set_to = client.fallback_set(model=model, fallback_models=["gpt-4o"])
    assert (set_to["model"], set_to["fallback_models"]) == (model, ["gpt-4o"])
    assert client.fallback_get("echo-broken")["fallback_models"]
    # The file sets fallbacks too: it wins at the next look at the database, and no stored one is found to delete.
    assert isinstance(refused(client.fallback_delete, model), aicp.NotFoundError)
    assert refused(client.fallback_set, model=model, fallback_models=["nobody"]).status == 400
    assert isinstance(refused(client.fallback_get, aicp_dev.unique("none")), aicp.NotFoundError)


def test_cache_settings_want_their_object(client, refused):
    """Good ones would turn the cache on for all the other tests: no call turns it off."""
    error = refused(client.cache_settings_update, type="local")
    assert (error.status, error.param, error.relay) == (422, "cache_settings", 422)


# ---- models ----


def test_models_can_be_listed(client, refused):
    names = client.models()
    info = client.model_info()
    assert {entry["model_name"] for entry in info} <= set(names)
    assert client.model_find(size=2, sortBy="model_name")  # some pages
    assert {entry["model_info"]["id"] for entry in client.model_find(size=2)} == {entry["model_info"]["id"] for entry in info}
    page = client.call("GET", "/v2/model/info?page=1&size=2").json()
    assert len(page["data"]) == 2 and page["total_pages"] > 1
    assert client.model_groups()["data"][0]["model_group"]
    model_id = info[0]["model_info"]["id"]
    assert client.model_get(model_id)["data"][0]["model_info"]["id"] == model_id
    assert refused(client.model_get, "none").status == 400


def test_a_model_lives(client, refused):
    model_id, name = aicp_dev.unique("model"), aicp_dev.unique("name")
    secret = {"model": "openai/gpt-4o", "api_key": "secret", "mock_response": "hello"}
    made = client.model_new(model_name=name, litellm_params=secret, model_info={"id": model_id})
    assert made["model_id"] == model_id
    assert made["litellm_params"]["model"] != "openai/gpt-4o"  # encrypted
    try:
        assert client.model_update(model_name=name + "2", litellm_params={"rpm": 3}, model_info={"id": model_id})["model_name"]
        assert client.model_patch(model_id, model_name=name + "3")["model_name"] == name + "3"
        assert client.model_block(model_id)["blocked"] is True
        assert client.model_unblock(model_id)["blocked"] is False
        (record,) = client.model_get(model_id)["data"]
        assert record["litellm_params"]["rpm"] == 3 and "api_key" not in record["litellm_params"]
    finally:
        assert "deleted" in client.model_delete(model_id)["message"]
    assert refused(client.model_delete, model_id).status == 400
    assert isinstance(refused(client.model_patch, model_id, model_name="x"), aicp.NotFoundError)
    of_file = client.model_info()[0]["model_info"]["id"]
    assert "config" in refused(client.model_patch, of_file, model_name="x").message
    assert refused(client.model_update, model_info={"id": of_file}, litellm_params={"rpm": 5}).status == 400
    without = refused(client.model_new, model_name=name)
    assert (without.status, without.relay) == (500, 502)  # bad input, but that is what it answers


# ---- keys ----


def test_a_key_lives(client, proxy, refused):
    alias = aicp_dev.unique("key")
    made = client.key_generate(key_alias=alias, rpm_limit=7)
    key, token = made["key"], made["token"]
    try:
        assert client.key_info(key)["info"]["key_alias"] == alias
        assert client.key_info(token)["info"]["rpm_limit"] == 7
        assert refused(client.key_generate, key_alias=alias).status == 400
        assert client.key_update(key=token, rpm_limit=None, metadata={"a": 1})["metadata"] == {"a": 1}
        assert client.key_info(key)["info"]["rpm_limit"] is None
        assert client.key_block(key)["blocked"] is True
        assert refused(aicp.LiteLLMClient(proxy.url, key).models).status == 401
        assert client.key_unblock(token)["blocked"] is False
        assert client.key_reset_spend(key, reset_to=0)["key_hash"] == token
        assert [entry["token"] for entry in client.key_find(key_alias=alias)] == [token]
        assert client.key_find(key_alias=alias, return_full_object=False) == [token]
        regenerated = refused(client.call, "POST", f"/key/{token}/regenerate", {})
        assert regenerated.status == 500 and "Enterprise" in regenerated.message
    finally:
        assert client.key_delete(key) == {"deleted_keys": [token]}
    assert isinstance(refused(client.key_delete, token), aicp.NotFoundError)
    assert client.key_info(token)["info"]["status"] == "deleted"  # LiteLLM remembers it
    assert client.key_find(key_hash=token) == []
    assert isinstance(refused(client.key_info, "0" * 64), aicp.NotFoundError)
    assert isinstance(refused(client.key_update, key=token, rpm_limit=1), aicp.NotFoundError)
    assert refused(client.key_block, "none").status == 400
    assert refused(client.key_delete_many).status == 422


def test_keys_come_from_all_pages(client):
    mark = aicp_dev.unique("many")
    tokens = {client.key_generate(key_alias=f"{mark}-{n}")["token"] for n in range(5)}
    try:
        assert tokens == {entry["token"] for entry in client.key_find(size=2) if (entry["key_alias"] or "").startswith(mark)}
        assert tokens <= {entry["token"] for entry in client.key_list()}
    finally:
        client.key_delete_many(keys=[*sorted(tokens), "0" * 64])  # one that is unknown is passed over
    assert client.key_find(size=2, key_alias=f"{mark}-0") == []


# ---- teams, users, customers ----


def test_a_team_lives(client, refused):
    team, user = aicp_dev.unique("team"), aicp_dev.unique("user")
    assert client.team_new(team_id=team, team_alias=team)["team_id"] == team
    try:
        assert refused(client.team_new, team_id=team).status == 400
        assert client.team_update(team_id=team, rpm_limit=9)["data"]["rpm_limit"] == 9
        added = client.team_member_add(team_id=team, member={"role": "user", "user_id": user})
        assert user in [member["user_id"] for member in added["members_with_roles"]]
        assert client.team_member_update(team_id=team, user_id=user, max_budget_in_team=2)["max_budget_in_team"] == 2
        assert client.team_member_delete(team_id=team, user_id=user)["team_id"] == team
        assert refused(client.team_member_delete, team_id=team, user_id=user).status == 400
        assert "gpt-4o" in client.team_model_add(team_id=team, models=["gpt-4o"])["models"]
        assert "gpt-4o" not in client.team_model_delete(team_id=team, models=["gpt-4o"])["models"]
        assert client.team_block(team)["blocked"] is True
        assert client.team_unblock(team)["blocked"] is False
        assert client.team_info(team)["team_info"]["rpm_limit"] == 9
        assert team in [entry["team_id"] for entry in client.team_list()]
        assert [entry["members_count"] for entry in client.team_find(team_id=team)] == [1]  # who made it
    finally:
        client.team_delete(team)
        client.user_delete(user)
    assert isinstance(refused(client.team_info, team), aicp.NotFoundError)
    assert isinstance(refused(client.team_update, team_id=team, rpm_limit=1), aicp.NotFoundError)
    assert isinstance(refused(client.team_delete, team), aicp.NotFoundError)
    assert refused(client.team_new, max_budget="much").param == "max_budget"


def test_many_teams_are_deleted_all_or_none(client, refused):
    teams = [aicp_dev.unique("team") for _ in range(2)]
    for team in teams:
        client.team_new(team_id=team, team_alias=team)
    assert isinstance(refused(client.team_delete_many, team_ids=[*teams, "none"]), aicp.NotFoundError)
    assert set(teams) <= {entry["team_id"] for entry in client.team_find(page_size=1)}
    client.team_delete_many(team_ids=teams)
    assert not set(teams) & {entry["team_id"] for entry in client.team_list()}


def test_a_user_lives(client, refused):
    user, other = aicp_dev.unique("user"), aicp_dev.unique("user")
    assert client.user_new(user_id=user, auto_create_key=False)["user_id"] == user
    try:
        again = refused(client.user_new, user_id=user, auto_create_key=False)
        assert isinstance(again, aicp.ExistsError) and again.relay == 409
        assert again.message == f"User with id {user} already exists"
        client.user_update(user_id=user, max_budget=3)
        assert client.user_info(user)["user_info"]["max_budget"] == 3
        assert [entry["user_id"] for entry in client.user_find(user_ids=[user])] == [user]
    finally:
        assert client.user_delete(user) == 1
    client.user_new(user_id=other, auto_create_key=False)
    assert client.user_delete_many(user_ids=[other]) == 1
    assert isinstance(refused(client.user_info, user), aicp.NotFoundError)
    assert isinstance(refused(client.user_delete, user), aicp.NotFoundError)


def test_a_customer_lives(client, refused):
    customer = aicp_dev.unique("customer")
    client.customer_new(user_id=customer, max_budget=2)
    try:
        assert client.customer_info(customer)["litellm_budget_table"]["max_budget"] == 2
        assert client.customer_update(user_id=customer, blocked=True)["blocked"] is True
        assert client.customer_update(user_id=customer, blocked=False)["blocked"] is False
        assert customer in [entry["user_id"] for entry in client.customer_list()]
    finally:
        assert client.customer_delete(customer)["deleted_customers"] == 1
    assert isinstance(refused(client.customer_info, customer), aicp.NotFoundError)
    assert isinstance(refused(client.customer_delete, customer), aicp.NotFoundError)


def test_organizations_need_a_licence(client, refused):
    error = refused(client.call, "GET", "/organization/list")
    assert error.status == 403 and "Enterprise" in error.message


# ---- budgets ----


def test_a_budget_lives(client, refused):
    budget = aicp_dev.unique("budget")
    client.budget_new(budget_id=budget, max_budget=10, soft_budget=8)
    try:
        assert refused(client.budget_new, budget_id=budget).status == 400
        assert [entry["soft_budget"] for entry in client.budget_info(budget)] == [8]
        assert client.budget_update(budget_id=budget, max_budget=12)["max_budget"] == 12
        values = {entry["field_name"]: entry["field_value"] for entry in client.budget_settings(budget)}
        assert values["max_budget"] == 12
        assert budget in [entry["budget_id"] for entry in client.budget_list()]
    finally:
        assert client.budget_delete(budget)["budget_id"] == budget
    # LiteLLM answers 200 with nothing.
    for call in (client.budget_info, client.budget_delete):
        error = refused(call, budget)
        assert isinstance(error, aicp.NotFoundError) and (error.status, error.relay) == (200, 404)
    assert isinstance(refused(client.budget_update, budget_id=budget, max_budget=1), aicp.NotFoundError)


# ---- spend ----


def test_spend(client, proxy, refused, new_key):
    key = new_key(models=["gpt-4o"])
    with aicp.LiteLLMClient(proxy.url, key) as caller:
        cost = caller.chat({"model": "gpt-4o", "messages": [{"role": "user", "content": "spend"}]}).cost_nano
    assert cost > 0
    token = hashlib.sha256(key.encode()).hexdigest()
    times = {name: f"{day} 00:00:00" for name, day in days().items()}

    def rows():
        return client.spend_logs(api_key=token, **times)

    (row,) = aicp_dev.wait_for(rows, 30)
    assert round(row["spend"] * 1e9) == cost and row["model_group"] == "gpt-4o"
    one = client.spend_logs(api_key=token, page=1, page_size=1, **times)
    assert one["total"] == 1 and one["data"][0]["request_id"] == row["request_id"]
    assert client.spend_days(**days()) is not None
    assert token in [entry["token"] for entry in client.spend_keys()]
    assert isinstance(client.spend_users(), list)
    assert isinstance(client.spend_tags(**days()), list)
    assert refused(client.spend_logs, page_size=1).status == 400  # dates


def test_spend_of_all(client, refused):
    assert {"spend", "max_budget"} <= client.global_spend().keys()
    for call in (client.global_spend_logs, client.global_spend_keys, client.global_spend_models):
        assert isinstance(call(limit=3), list)
    assert "total_spend_per_team" in client.global_spend_teams()
    assert isinstance(client.global_spend_providers(**days()), list)
    assert "spend_per_tag" in client.global_spend_tags(**days())
    assert "daily_data" in client.global_activity(**days())
    assert isinstance(client.global_activity_models(**days()), list)
    for call in (client.global_spend_providers, client.global_spend_tags, client.global_activity):
        error = refused(call)
        assert error.status == 400 and error.message == "Please provide start_date and end_date"


def test_activity_per_day(client, refused):
    found = aicp_dev.wait_for(lambda: client.activity(**days())["results"], 30)
    assert found[0]["metrics"]["api_requests"] >= 1 and found[0]["breakdown"]["models"]

    def requests(**fields):
        return sum(day["metrics"]["api_requests"] for day in client.activity_days(**days(), **fields))

    aicp_dev.wait_for(lambda: requests(page_size=1) == requests() >= 1)  # parts of a day add up; rows may come meanwhile
    assert isinstance(client.team_activity_days(**days(), team_ids=["none"]), list)
    assert isinstance(client.customer_activity_days(**days()), list)
    assert refused(client.activity).status == 400


def test_what_a_call_would_cost(client):
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    assert client.spend_calculate(**asked)["cost"] > 0
    assert client.token_count(**asked)["total_tokens"] > 0


# ---- calls of models ----


@pytest.fixture
def hello():
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


def test_whole_answers_tell_their_usage(client, hello):
    chat = client.chat(hello)
    assert chat.json()["choices"][0]["message"]["content"] == "echo: hello"
    assert chat.usage["input_tokens"] > 0 and chat.cost_nano > 0
    response = client.response({"model": "gpt-4o", "input": "hello"})
    assert response.json()["output"][0]["content"][0]["text"] == "echo: hello"
    assert response.usage["output_tokens"] == chat.usage["output_tokens"]
    message = client.message({**hello, "max_tokens": 20})
    assert message.json()["content"][0]["text"] == "echo: hello"
    assert message.usage["total_tokens"] == chat.usage["total_tokens"]
    assert client.completion({"model": "gpt-4o", "prompt": "hello"}).json()["choices"][0]["text"] == "echo: hello"
    embedding = client.embedding({"model": "text-embedding-3-small", "input": ["one"]})
    assert embedding.usage["input_tokens"] == 1 and embedding.json()["data"][0]["embedding"]


def test_streams_of_every_kind_end_and_tell_their_usage(client, hello):
    chat, response, message = [], [], []
    reply = client.chat_stream({**hello, "stream_options": {"include_usage": True}}, chat.append)
    assert "".join(c["delta"].get("content") or "" for e in chat for c in e["choices"]) == "echo: hello"
    assert reply.usage["total_tokens"] == chat[-1]["usage"]["total_tokens"]
    assert reply.cost_nano == round(chat[-1]["usage"]["cost"] * 1e9) > 0
    reply = client.response_stream({"model": "gpt-4o", "input": "hello"}, response.append)
    assert response[-1]["type"] == "response.completed"
    assert reply.usage["output_tokens"] == response[-1]["response"]["usage"]["output_tokens"] > 0
    reply = client.stream("/v1/messages", {**hello, "max_tokens": 20}, message.append)
    assert message[-1] == {"type": "message_stop"}  # no [DONE] comes
    assert reply.usage["input_tokens"] > 0


def test_a_stream_can_be_stopped(client, hello):
    class Stop(Exception):
        pass

    def stop(event):
        raise Stop

    with pytest.raises(Stop):
        client.chat_stream(hello, stop)
    assert client.chat(hello).status == 200


def test_refusals_of_streams_are_told(client, hello, refused):
    error = refused(client.chat_stream, {**hello, "model": "nobody"}, lambda event: None)
    assert 400 <= error.status < 500 and error.relay == error.status and error.message


def test_a_guardrail_needs_a_request_to_run(client, refused):
    """Ours judges requests of models, not bare texts."""
    error = refused(client.guardrail_apply, guardrail_name="aicp", text="hello")
    assert error.relay == error.status == 400


# ---- what goes wrong ----


def test_errors_tell_who_is_at_fault(client, proxy, refused):
    unknown = refused(aicp.LiteLLMClient(proxy.url, "sk-" + "0" * 22).models)
    assert isinstance(unknown, aicp.LiteLLMError) and unknown.status == unknown.relay == 401
    nowhere = refused(client.call, "GET", "/nowhere")
    assert isinstance(nowhere, aicp.NotFoundError) and nowhere.message == "Not Found"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = refused(aicp.LiteLLMClient(f"http://127.0.0.1:{free.getsockname()[1]}", "k", timeout=0.3).models)
    assert away.relay == 503 and away.status == 0


def test_clients_serve_many_threads(client):
    found = []

    def ask():
        client.key_list()
        found.append(client.models())

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and all(names == found[0] for names in found)
