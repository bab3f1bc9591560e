"""The audit log: every change with before and after, filters, export, and a chain that shows what was altered."""

import csv
import io
import json
import sqlite3

import aicp_dev
import pytest


def entries(admin, item: dict) -> list[dict]:
    return admin.get(f"audit-logs?resource_id={item['id']}&sort=id")


@pytest.mark.parametrize(
    "path, kind, body, change",
    [
        ("rate-limits", "rate_limit", {"name": "n", "scope": "global", "rpm_limit": 9}, {"rpm_limit": 8}),
        ("policies", "policy", {"name": "audit", "text": "permit (principal, action, resource);"}, {"description": "d"}),
        ("organizations", "organization", {"name": "audit", "slug": "audit"}, {"max_budget": 1}),
        ("users", "user", {"email": "audit@example.com"}, {"display_name": "d"}),
        ("ledger/rules", "ledger_rule", {"name": "audit", "scope": "team", "hard_limit": 1}, {"hard_limit": 2}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_change_has_an_entry_with_before_and_after(admin, path, kind, body, change):
    item = admin.post(path, body)
    admin.put(f"{path}/{item['id']}", change)
    admin.delete(f"{path}/{item['id']}")
    created, updated, deleted = entries(admin, item)
    [(field, value)] = change.items()
    assert [entry["action"] for entry in (created, updated, deleted)] == ["create", "update", "delete"]
    assert {entry["resource_type"] for entry in (created, updated, deleted)} == {created["resource_type"]}
    assert created["changes"]["before"] is None and created["changes"]["after"]["id"] == item["id"]
    assert updated["changes"]["before"][field] == item[field] and updated["changes"]["after"][field] == value
    assert deleted["changes"]["before"][field] == value and deleted["changes"]["after"] is None
    assert updated["actor_id"] == "admin" and updated["actor_ip"] == "127.0.0.1"
    assert updated["request_metadata"]["method"] == "PUT" and updated["request_metadata"]["user_agent"]


def test_a_change_that_was_refused_leaves_no_entry(admin, made):
    item = made("rate-limits", name="n", scope="global", rpm_limit=9)
    assert admin.call("PUT", f"rate-limits/{item['id']}", {"rpm_limit": -1}).status == 422
    assert admin.call("PUT", f"rate-limits/{item['id']}", {"rpm_limit": 1}, {"If-Match": '"77"'}).status == 412
    assert len(entries(admin, item)) == 1


def test_entries_cannot_be_changed_through_the_api(admin):
    entry = admin.get("audit-logs?limit=1")[0]
    for verb in ("PUT", "DELETE", "POST"):
        assert admin.call(verb, f"audit-logs/{entry['id']}", None if verb == "DELETE" else {}).status == 405


def test_filters_of_the_audit_log(admin, made):
    start = aicp_dev.ago(0)
    item = made("rate-limits", name=aicp_dev.unique("n"), scope="global", rpm_limit=9)
    for query in (f"start_date={start}", "resource_type=rate_limit", "action=create", "actor_id=admin", "outcome=success"):
        assert admin.get(f"audit-logs?resource_id={item['id']}&{query}"), query
    for query in ("end_date=2020-01-01", "start_date=2199-01-01T00:00:00Z", "resource_type=key", "actor_id=x", "org_id=x"):
        assert admin.get(f"audit-logs?resource_id={item['id']}&{query}") == [], query
    today = start[:10]
    assert len(admin.get(f"audit-logs?resource_id={item['id']}&start_date={today}&end_date={today}")) == 1
    for wrong in ("start_date=yesterday", "end_date=2026-13-01", "limit=0", "limit=100000", "offset=-1"):
        assert admin.call("GET", f"audit-logs?{wrong}").status == 422, wrong


def test_export(admin, made):
    name = "=cmd|' /C calc'!A0"
    item = made("rate-limits", name=name, scope="global", rpm_limit=9)
    answer = admin.call("GET", f"audit-logs/export?resource_id={item['id']}")
    assert answer.headers["content-disposition"] == 'attachment; filename="audit_logs.csv"'
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert row["resource_name"] == "'" + name and json.loads(row["changes"])["after"]["name"] == name
    as_json = admin.call("GET", f"audit-logs/export?format=json&resource_id={item['id']}")
    assert as_json.headers["content-disposition"] == 'attachment; filename="audit_logs.json"'
    assert [entry["resource_name"] for entry in as_json.body] == [name]
    assert admin.call("GET", "audit-logs/export?format=xml").status == 422
    assert admin.call("GET", "audit-logs/export?limit=50001").status == 422


def test_the_chain_holds(admin, made):
    made("rate-limits", name="n", scope="global", rpm_limit=9)
    report = admin.get("audit-logs/verify")
    assert report["valid"] and report["first_bad"] is None and report["entries_checked"] > 1


def test_an_entry_that_was_altered_in_the_store_is_found(another):
    own = another()
    admin = own.login()
    items = [admin.post("rate-limits", {"name": f"n{n}", "scope": "global", "rpm_limit": 9}) for n in range(3)]
    assert admin.get("audit-logs/verify")["valid"]
    [entry] = entries(admin, items[1])
    with sqlite3.connect(own.store.removeprefix("sqlite://"), timeout=10) as db, pytest.raises(sqlite3.IntegrityError):
        db.execute("UPDATE audit_log SET actor_id = 'somebody else' WHERE id = ?", (entry["id"],))
    with sqlite3.connect(own.store.removeprefix("sqlite://"), timeout=10) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute("UPDATE audit_log SET actor_id = 'somebody else' WHERE id = ?", (entry["id"],))
    report = admin.get("audit-logs/verify")
    assert not report["valid"] and report["first_bad"] is not None


def test_no_secret_stands_in_the_log(admin, server, environment):
    admin.call("POST", "models", {"model_name": "m", "litellm_params": {"model": "openai/x", "api_key": "hush-hush-1"}})
    server.call("POST", "/auth/login", {"api_key": "hush-hush-2"})
    log = admin.call("GET", "audit-logs?limit=1000").text
    for secret in ("hush-hush-1", "hush-hush-2", server.master_key, server.service_key, admin.token):
        assert secret not in log
        assert secret not in server.log.read_text()
    for model in admin.get("models?model_name=m"):
        admin.post("models/delete", {"id": model["id"]})
