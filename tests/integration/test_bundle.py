"""Rules that change while requests run: nobody notices but those who are meant, and what is broken is not taken."""

import hashlib
import json
import threading
import time

import aicp
import aicp_dev
import pytest

PROMPT = [{"role": "user", "content": "hello"}]


@pytest.fixture
def rules(governed):
    """The rules of the tests; what a test changes is put back."""
    sections = [file for file in governed.proxy.bundle.iterdir() if file.name not in ("manifest.json", "prices.json")]
    before = {file: file.read_text(encoding="utf-8") for file in sections}
    yield governed
    for file, text in before.items():
        aicp_dev.replace_file(file, text)
    governed.proxy.seal_bundle()


def test_a_change_under_load_fails_no_request_and_holds_at_once(rules):
    stop = threading.Event()
    steady: list[int] = []
    changed: list[tuple[float, int]] = []

    def ask(team: str, note) -> None:
        while not stop.is_set():
            note(rules.chat(team, "gpt-4o-mini", "hello").status)

    def note_changed(status: int) -> None:
        changed.append((time.monotonic(), status))

    for team in ("t-steady", "t-changed"):
        rules.key(team)
    threads = [threading.Thread(target=ask, args=("t-steady", steady.append)) for _ in range(5)]
    threads += [threading.Thread(target=ask, args=("t-changed", note_changed)) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        aicp_dev.wait_for(lambda: len(changed) > 5 and len(steady) > 5)
        team = rules.team("t-changed")
        forbid = f'\n@id("changed") forbid (principal in AICP::Team::"{team}", action, resource);\n'
        policies = rules.proxy.bundle / "policies.cedar"
        aicp_dev.replace_file(policies, policies.read_text() + forbid)
        aicp.Bundle.seal(rules.proxy.bundle, aicp_dev.unique("load"))
        sealed = time.monotonic()
        asked = len(steady)
        aicp_dev.wait_for(lambda: sum(status == 403 for _, status in changed) > 5 and len(steady) > asked + 5)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(steady) == {200}
    assert {status for at, status in changed if at < sealed} == {200}
    last_allowed = max(at for at, status in changed if status == 200)
    assert last_allowed < sealed + 2
    assert {status for at, status in changed if at > last_allowed} == {403}


def refused(rules, since: int, **wanted) -> dict:
    """The event that tells of a bundle that was not taken, among those after the first SINCE."""

    def found():
        events = rules.proxy.events("bundle")[since:]
        return next((e for e in events if e["status"] == "refused" and wanted.items() <= e.items()), None)

    return aicp_dev.wait_for(found)


def seal_by_hand(rules, section: str, text: str, **entry) -> None:
    """Writes a section and a manifest that vouches for it: the gate must not trust whoever writes the bundle."""
    bundle = rules.proxy.bundle
    (file,) = bundle.glob(f"{section}.*")
    manifest = json.loads((bundle / "manifest.json").read_text())
    raw = text.encode()
    manifest["sections"][section] = {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw), **entry}
    manifest["version"] = aicp_dev.unique("by-hand")
    aicp_dev.replace_file(file, text)
    aicp_dev.replace_file(bundle / "manifest.json", json.dumps(manifest))


BROKEN = {
    "limits": ('[\n  {"id": "x", "kind": "requests", "limit": -2, "window": "1m"}\n]', {"line": 2}),
    "guardrails": ('{"default": "no-such-profile",\n "profiles": []}', {}),
    "accounts": ('[\n{"id": "x",\n "hard": "a lot"}]', {"line": 3}),
    "routes": ('{"aliases": }', {"line": 1}),
    "policies": ("permit (principal, action, resource)\nwhen { ;", {"line": 2}),
}


@pytest.mark.parametrize("section", BROKEN)
def test_a_broken_section_is_refused_with_its_place_and_the_old_rules_stay(rules, section):
    text, place = BROKEN[section]
    since = len(rules.proxy.events("bundle"))
    seal_by_hand(rules, section, text)
    event = refused(rules, since)
    assert event["message"].startswith(f"{section}."), event
    assert place.items() <= event.items(), event
    assert rules.chat("t-blue", "gpt-4o-mini", "hello").status == 200
    assert rules.chat("t-red", "gpt-5", "hello").status == 403
    with pytest.raises(aicp.AicpError):
        aicp.Bundle.seal(rules.proxy.bundle, "broken")


@pytest.mark.parametrize(
    "manifest", ["", "{", '{"format": "another/9", "version": "x", "sections": {}}'], ids=["empty", "cut", "other format"]
)
def test_a_broken_manifest_is_refused(rules, manifest):
    since = len(rules.proxy.events("bundle"))
    aicp_dev.replace_file(rules.proxy.bundle / "manifest.json", manifest)
    assert "manifest" in refused(rules, since)["message"]
    assert rules.chat("t-red", "gpt-5", "hello").status == 403
    assert rules.chat("t-blue", "gpt-4o-mini", "hello").status == 200


def test_a_section_that_is_not_what_the_manifest_says_is_refused(rules):
    since = len(rules.proxy.events("bundle"))
    seal_by_hand(rules, "routes", '{"maintenance": {"enabled": true}}', sha256="0" * 64)
    assert "routes.json" in refused(rules, since)["message"]
    assert rules.chat("t-blue", "gpt-4o-mini", "hello").status == 200


def test_an_alias_leads_to_a_model_and_its_rules(rules):
    marker = aicp_dev.unique("alias")
    rules.proxy.change_bundle(routes=lambda text: json.dumps({"aliases": {"fast": "gpt-4o-mini", "best": "gpt-5"}}))
    answer = rules.chat("t-blue", "fast", marker)
    assert answer.status == 200, answer.text
    assert [entry["body"]["model"] for entry in rules.proxy.seen(marker)] == ["gpt-4o-mini"]
    assert rules.chat("t-red", "best", "hello").status == 403


def test_maintenance_stops_everything_and_ends(rules):
    notice = {"maintenance": {"enabled": True, "message": "back at noon"}}
    rules.proxy.change_bundle(routes=lambda text: json.dumps(notice))
    answer = rules.chat("t-blue", "gpt-4o-mini", "hello")
    assert answer.status == 503
    assert "back at noon" in answer.body["error"]["message"]
    rules.proxy.change_bundle(routes=lambda text: json.dumps({}))
    assert rules.chat("t-blue", "gpt-4o-mini", "hello").status == 200


def test_a_raised_budget_admits_without_a_restart(rules):
    assert rules.chat("t-zero", "gpt-4o-mini", "hello").status == 422
    rules.proxy.change_bundle(accounts=lambda text: text.replace('"hard": "0"', '"hard": "1"'))
    assert rules.chat("t-zero", "gpt-4o-mini", "hello").status == 200
