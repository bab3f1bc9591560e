"""Policies, rate limits, budgets of the gates, settings: rows of our own store."""

import aicp_dev
import pytest
from admin_server import fields_at_fault

PERMIT = '@id("{0}") @reason("for tests") permit (principal, action, resource);'
FORBID = '@id("{0}") forbid (principal in AICP::Team::"nobody", action, resource);'


def cedar(text: str = FORBID) -> dict:
    name = aicp_dev.unique("policy")
    return {"name": name, "text": text.format(name)}


# ---- policies ----


def test_a_wrong_policy_is_refused_with_line_and_column(admin):
    answer = admin.call("POST", "policies", {"name": aicp_dev.unique("p"), "text": "permit (\n  principal,,\n);"})
    assert fields_at_fault(answer) == {"text"}
    assert answer.body["errors"][0]["message"].startswith("line 2, column 13")
    checked = admin.post("policies/check", {"text": "permit (\n  principal,,\n);"})
    assert not checked["valid"] and (checked["errors"][0]["line"], checked["errors"][0]["column"]) == (2, 13)


def test_a_text_is_checked_without_being_saved(admin):
    before = len(admin.get("policies"))
    checked = admin.post("policies/check", {"text": PERMIT.format("tried")})
    assert checked["valid"] and checked["policies"][0]["id"] == "tried"
    assert checked["policies"][0]["effect"] == "permit" and checked["policies"][0]["reason"] == "for tests"
    assert len(admin.get("policies")) == before


def test_a_policy_must_fit_the_platforms_schema(admin):
    schema = admin.get("policies/schema")
    assert "namespace AICP" in schema["cedar"] and "Key" in schema["json"]["AICP"]["entityTypes"]
    text = FORBID.format("x").replace("resource)", "resource)\nwhen { context.input_token > 5 }")
    answer = admin.call("POST", "policies", {"name": aicp_dev.unique("p"), "text": text})
    assert fields_at_fault(answer) == {"text"}
    assert answer.body["errors"][0]["message"].startswith("line 2, column 16: ")
    checked = admin.post("policies/check", {"text": text})
    assert not checked["valid"]
    error = checked["errors"][0]
    assert (error["line"], error["code"], error["policy"]) == (2, "UnsafeAttributeAccess", "x")
    optional = FORBID.format("x").replace("resource)", 'resource) when { context.source == "batch" }')
    assert admin.post("policies/check", {"text": optional})["errors"][0]["code"] == "UnsafeOptionalAttributeAccess"


def test_what_only_looks_wrong_is_told_and_can_be_saved(admin, made):
    never = FORBID.format("x").replace("resource)", "resource) when { context.stream && false }")
    checked = admin.post("policies/check", {"text": never})
    assert checked["valid"] and [w["code"] for w in checked["warnings"]] == ["ImpossiblePolicy"]
    made("policies", name=aicp_dev.unique("p"), text=never)


def test_the_policies_to_start_from_can_be_saved(admin, made):
    text = admin.get("policies/default")["text"]
    checked = admin.post("policies/check", {"text": text})
    assert checked["valid"] and checked["warnings"] == []
    assert "everyone-with-a-key" in [p["id"] for p in checked["policies"]]
    made("policies", name=aicp_dev.unique("p"), text=text, is_active=False)


def test_a_policy_in_json_form_is_refused(admin):
    answer = admin.call("POST", "policies", {"name": aicp_dev.unique("p"), "text": '{"staticPolicies": {}}'})
    assert fields_at_fault(answer) == {"text"}


def test_every_text_of_a_policy_stays_and_can_be_brought_back(admin, made):
    first = cedar()
    policy = made("policies", **first)
    assert policy["text_version"] == 1 and policy["created_by"] == "admin"
    second = first["text"].replace("nobody", "somebody")
    assert admin.put(f"policies/{policy['id']}", {"text": second})["text_version"] == 2
    assert admin.put(f"policies/{policy['id']}", {"description": "words"})["text_version"] == 2
    versions = admin.get(f"policies/{policy['id']}/versions")
    assert [(v["text_version"], v["text"]) for v in versions] == [(2, second), (1, first["text"])]
    back = admin.post(f"policies/{policy['id']}/versions/1/activate")
    assert back["text"] == first["text"] and back["text_version"] == 3
    for unknown in ("99", "x", "-1", "99999999999999999999"):
        assert admin.call("POST", f"policies/{policy['id']}/versions/{unknown}/activate").status == 404, unknown


def test_an_id_of_a_policy_may_stand_once_among_the_active_ones(admin, made):
    first = cedar()
    made("policies", **first)
    double = {"name": aicp_dev.unique("p"), "text": first["text"]}
    assert fields_at_fault(admin.call("POST", "policies", double)) == {"text"}
    resting = made("policies", **double, is_active=False)
    assert fields_at_fault(admin.call("PUT", f"policies/{resting['id']}", {"is_active": True})) == {"text"}


def test_a_name_that_is_taken_is_a_conflict(admin, made):
    policy = made("policies", **cedar())
    assert admin.call("POST", "policies", {**cedar(), "name": policy["name"]}).status == 409


# ---- rate limits ----

LIMIT = {"name": "limit", "scope": "team", "scope_value": "red", "rpm_limit": 10}

WRONG = [
    ({"name": ""}, "name"),
    ({"name": None}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"scope": "planet"}, "scope"),
    ({"scope": 7}, "scope"),
    ({"scope_value": None}, "scope_value"),
    ({"scope_value": ""}, "scope_value"),
    ({"scope": "global"}, "scope_value"),
    ({"scope": "user_model", "scope_value": "nocolon"}, "scope_value"),
    ({"scope_value": "a*b"}, "scope_value"),
    ({"rpm_limit": -1}, "rpm_limit"),
    ({"rpm_limit": 1.5}, "rpm_limit"),
    ({"rpm_limit": "10"}, "rpm_limit"),
    ({"rpm_limit": True}, "rpm_limit"),
    ({"rpm_limit": 10**30}, "rpm_limit"),
    ({"rpm_limit": None}, "rpm_limit"),
    ({"burst_multiplier": 0.9}, "burst_multiplier"),
    ({"burst_multiplier": 101}, "burst_multiplier"),
    ({"burst_window_seconds": 61}, "burst_window_seconds"),
    ({"priority": 10**7}, "priority"),
    ({"enforcer": "nobody"}, "enforcer"),
    ({"is_active": "yes"}, "is_active"),
    ({"is_active": None}, "is_active"),
    ({"unknown": 1}, "unknown"),
    ({"id": "mine"}, "id"),
    ({"created_at": "2026-01-01T00:00:00Z"}, "created_at"),
]


@pytest.mark.parametrize("change, field", WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_field_is_named(admin, change, field):
    assert field in fields_at_fault(admin.call("POST", "rate-limits", {**LIMIT, **change}))


def test_zero_is_zero_and_null_clears(admin, made):
    limit = made("rate-limits", **LIMIT, tpm_limit=5, description="d")
    path = f"rate-limits/{limit['id']}"
    assert admin.put(path, {"rpm_limit": 0})["rpm_limit"] == 0
    changed = admin.put(path, {"tpm_limit": None, "description": None})
    assert changed["tpm_limit"] is None and changed["description"] is None and changed["rpm_limit"] == 0
    empty = admin.call("PUT", path, {})
    assert empty.status == 400 and empty.body["detail"] == "No fields to update"


def test_what_may_come_is_told_beforehand(admin, server, made):
    team = aicp_dev.unique("team")
    limit = made("rate-limits", **{**LIMIT, "scope_value": team}, tpm_limit=100)
    check = {"team_id": team}
    assert admin.post("rate-limits/check", check)["allowed"]
    refused = admin.post("rate-limits/check", {**check, "tokens": 101})
    assert not refused["allowed"] and refused["rejections"][0]["limit_type"] == "tpm"
    assert refused["rejections"][0]["policy_id"] == limit["id"]
    assert admin.post("rate-limits/check", {"team_id": "another", "tokens": 101})["rejections"] == []
    assert admin.call("POST", "rate-limits/check", {}).status == 400
    send_events(server, *[{"event": "decision", "action": "allow", "team": team, "model": "m"} for _ in range(9)])
    row = next(row for row in admin.get("rate-limits/status") if row["policy_id"] == limit["id"])
    assert row["current_rpm"] == 9 and row["rpm_limit"] == 10
    near = admin.post("rate-limits/check", check)["closest_limits"]
    assert [(item["limit_type"], item["current"]) for item in near] == [("rpm", 9)]
    send_events(server, {"event": "decision", "action": "allow", "team": team, "model": "m"})
    answer = admin.post("rate-limits/check", check)
    assert not answer["allowed"] and answer["retry_after_seconds"] > 0


def send_events(server, *events: dict) -> None:
    node = aicp_dev.unique("node")
    batch = [
        {"v": 1, "ts_ns": 0, "time": now(), "sequence": n + 1, "decision": aicp_dev.unique("d"), **event}
        for n, event in enumerate(events)
    ]
    answer = server.service("POST", "events", {"format": "aicp-events/1", "node": node, "boot": "b", "events": batch})
    assert answer.status == 200 and answer.body["accepted"] == len(events), answer.text


def now() -> str:
    return aicp_dev.ago(0)


# ---- budgets of the gates ----


def test_what_an_account_has_spent_can_be_corrected_once_and_is_written_down(admin, server, made):
    import aicp

    name = aicp_dev.unique("team")
    with aicp.Ledger(server.store, node="tests", mode="sync") as ledger:
        ledger.put(name, limit_nano=12_500_000_000, duration="never")
        ledger.reserve("r", [name], 2_000_000_000, timeout=1.0)
        path = f"ledger/accounts/{name}"
        account = admin.get(path)
        assert account["limit_decimal"] == "12.5" and account["held"] >= 2
        assert [r["amount_decimal"] for r in admin.get(f"{path}/reservations")] == ["2"]
        ledger.release("r")
    correction = {"amount": "0.000000001", "reason": "one nano", "id": name}
    adjusted = admin.post(f"{path}/adjust", correction)
    assert adjusted["spent_decimal"] == "0.000000001" and adjusted["adjustment_id"] == name
    assert admin.post(f"{path}/adjust", correction)["spent_decimal"] == "0.000000001"
    assert admin.call("POST", f"{path}/adjust", {**correction, "amount": 2}).status == 409
    assert fields_at_fault(admin.call("POST", f"{path}/adjust", {"amount": 1})) == {"reason"}
    entries = admin.get(f"audit-logs?resource_type=ledger_account&resource_id={name}")
    assert [(entry["action"], entry["outcome"]) for entry in entries] == [
        ("adjust", "failure"), ("adjust", "success"), ("adjust", "success")
    ]
    assert admin.get(f"{path}/use")["spent_decimal"] == "0.000000001"


def test_an_account_that_is_not_there_is_404(admin):
    for tail in ("", "/use"):
        assert admin.call("GET", f"ledger/accounts/no-such{tail}").status == 404
    assert admin.call("POST", "ledger/accounts/no-such/adjust", {"amount": 1, "reason": "x"}).status == 404


def test_a_rule_of_a_budget_keeps_its_amounts_exact(made):
    rule = made("ledger/rules", name=aicp_dev.unique("b"), scope="team", hard_limit="12.000000001", soft_limits=["5"])
    assert rule["hard_limit_decimal"] == "12.000000001" and rule["soft_limits"] == ["5"]


@pytest.mark.parametrize(
    "change, field",
    [
        ({"hard_limit": -1}, "hard_limit"),
        ({"hard_limit": "abc"}, "hard_limit"),
        ({"hard_limit": None}, "hard_limit"),
        ({"soft_limits": ["2"]}, "soft_limits"),
        ({"soft_limits": ["nothing"]}, "soft_limits"),
        ({"duration": "eternity"}, "duration"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"scope": "user_model", "scope_value": "nocolon"}, "scope_value"),
    ],
    ids=str,
)
def test_a_wrong_budget_is_refused(admin, change, field):
    body = {"name": aicp_dev.unique("b"), "scope": "team", "scope_value": "red", "hard_limit": 1, **change}
    assert field in fields_at_fault(admin.call("POST", "ledger/rules", body))


# ---- settings ----


def test_settings_change_one_by_one_and_say_what_was_applied(admin):
    before = admin.get("settings")
    assert before["global_rate_limit"] >= 0 and isinstance(before["default_model"], str)
    changed = admin.put("settings", {"global_rate_limit": 777})
    assert changed["applied"]["gates"]["status"] == "ok"
    assert admin.get("settings") == {**before, "global_rate_limit": 777}
    admin.put("settings", {"global_rate_limit": before["global_rate_limit"]})
    for wrong in ({"global_rate_limit": -1}, {"cache_ttl_seconds": "x"}, {"default_model": ""}, {"unknown": 1}):
        assert fields_at_fault(admin.call("PUT", "settings", wrong)) == set(wrong)
    assert admin.call("PUT", "settings", {}).status == 400


def test_settings_that_another_changed_meanwhile_are_not_overwritten(admin):
    etag = admin.call("GET", "settings").headers["etag"]
    assert admin.call("PUT", "settings", {"global_rate_limit": 900}, {"If-Match": etag}).status == 200
    lost = admin.call("PUT", "settings", {"global_rate_limit": 901}, {"If-Match": etag})
    assert lost.status == 412
    assert admin.get("settings")["global_rate_limit"] == 900
    admin.put("settings", {"global_rate_limit": 1000})


def test_maintenance_refuses_changes_and_lets_it_be_ended(admin, server):
    admin.put("settings", {"maintenance_mode": True})
    try:
        refused = admin.call("POST", "rate-limits", LIMIT)
        assert refused.status == 503 and "maintenance" in refused.body["detail"]
        assert admin.call("GET", "rate-limits").status == 200
        assert server.call("GET", "/health").status == 200
        server.login()
    finally:
        admin.put("settings", {"maintenance_mode": False})
    assert admin.call("DELETE", f"rate-limits/{admin.post('rate-limits', LIMIT)['id']}").status == 200
