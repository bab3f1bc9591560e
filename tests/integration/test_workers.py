"""Two worker processes of one proxy share budgets and limits: never one request more, whoever dies."""

import concurrent.futures
import json
import os
import pathlib
import signal
from decimal import Decimal

import aicp
import aicp_dev
import pytest

ADMITTED = 5  # what the budgets and limits of these tests have room for
ASKED = 24
TEXT = "one two three four five six seven eight nine ten eleven twelve"
CAP = 8  # tokens of an answer; the echo server always fills them, so that each call costs what was reserved


@pytest.fixture(scope="module")
def shared(two_workers):
    """The proxy with two workers under rules for teams limit-… and budget-…."""

    def team(name: str) -> dict:
        return {"per": ["team"], "match": {"team": [f"{name}-*"]}}

    def limits(text: str) -> str:
        rule = {"kind": "requests", "limit": ADMITTED, "window": "1h", "shared": True, "exact": True}
        return json.dumps([{"id": "shared", **rule, **team("limit")}])

    def settings(text: str) -> str:
        return json.dumps({**json.loads(text), "patch_max_tokens": False})

    open_both_gates(two_workers)
    two_workers.change_bundle(2, limits=limits, settings=settings)
    cost = price_of_a_call(two_workers)
    account = {"id": "shared", "hard": str(cost * ADMITTED), "duration": "never", **team("budget")}
    two_workers.change_bundle(2, accounts=lambda text: json.dumps(json.loads(text) + [account]))
    two_workers.cost_nano = int(cost * 1_000_000_000)
    return two_workers


def open_both_gates(proxy) -> None:
    """Sends requests until both workers have had one: the first opens the gate of its process."""
    key = new_key(proxy, "first")[1]

    def opened() -> bool:
        burst(proxy, key, asked=8)
        return len(gates(proxy)) == 2

    aicp_dev.wait_for(opened, 60)


def gates(proxy) -> set[str]:
    """The gates that were ever opened; each worker has its own."""
    return {event["boot"] for event in proxy.events("bundle")}


def price_of_a_call(proxy):
    """What one call costs and reserves; both are the same here."""
    key = proxy.create_key(team_id=proxy.create_team(aicp_dev.unique("price")))
    decision = proxy.chat(key, "gpt-4o", TEXT, max_tokens=CAP).headers["x-aicp-decision-id"]
    cost = Decimal(proxy.settled(decision)["cost"])
    reserved = proxy.event("decision", lambda event: event["decision"] == decision)["reserved"]
    assert cost == Decimal(reserved) > 0
    return cost


def burst(proxy, key: str, asked: int = ASKED, meanwhile=None) -> list:
    """Statuses of calls made at the same time; None for one whose connection broke."""

    def ask(_):
        try:
            return proxy.chat(key, "gpt-4o", TEXT, max_tokens=CAP).status
        except OSError:
            return None  # its worker was killed

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        futures = [pool.submit(ask, i) for i in range(asked)]
        if meanwhile:
            meanwhile()
        return [future.result() for future in futures]


def workers(proxy) -> list[int]:
    """Processes that serve requests: children of the proxy's first process that run Python."""
    (parent, *_) = (proxy.state / "litellm.pid").read_text().split()
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if fields[1] == parent and b"multiprocessing.spawn" in command:
            found.append(int(stat.parent.name))
    return found


def new_key(proxy, kind: str) -> tuple[str, str]:
    team = proxy.create_team(aicp_dev.unique(kind))
    return team, proxy.create_key(team_id=team)


def both_decided(proxy, team: str) -> bool:
    def all_told():
        events = [event for event in proxy.events("decision") if event.get("team") == team]
        return events if len(events) >= ASKED else None

    return len({event["boot"] for event in aicp_dev.wait_for(all_told)}) == 2


def spent(proxy, team: str) -> int:
    with aicp.Ledger(proxy.store, node="tests") as ledger:
        return ledger.status(f"shared:{team}").spent_nano


@pytest.mark.parametrize("kind, refusal", [("limit", 429), ("budget", 422)])
def test_two_workers_admit_exactly_what_there_is_room_for(shared, kind, refusal):
    team, key = new_key(shared, kind)
    statuses = burst(shared, key)
    assert both_decided(shared, team), "all calls came to one worker"
    assert set(statuses) == {200, refusal}
    if kind == "limit":
        assert statuses.count(200) == ADMITTED
    # A worker may give back money that it held for a call of its own when the other's calls have been refused
    # already. So the last call is asked for once more; then nothing may be left over, and nothing be over.
    more = [burst(shared, key, asked=1)[0] for _ in range(ADMITTED - statuses.count(200) + 1)]
    assert statuses.count(200) + more.count(200) == ADMITTED
    assert more[-1] == refusal
    if kind == "budget":
        aicp_dev.wait_for(lambda: spent(shared, team) == ADMITTED * shared.cost_nano)


def test_a_killed_worker_lets_nobody_over_and_holds_nobody_back(shared):
    before = workers(shared)
    assert len(before) == 2
    keys = {kind: new_key(shared, kind)[1] for kind in ("limit", "budget")}
    first = {kind: burst(shared, key, asked=3) for kind, key in keys.items()}
    assert first == {"limit": [200] * 3, "budget": [200] * 3}
    spare = new_key(shared, "budget")[1]
    in_flight = burst(shared, spare, meanwhile=lambda: os.kill(before[0], signal.SIGKILL))
    assert in_flight.count(200) <= ADMITTED
    later = {kind: burst(shared, key) for kind, key in keys.items()}
    for kind, statuses in later.items():
        assert first[kind].count(200) + statuses.count(200) <= ADMITTED, kind
    assert in_flight.count(200) + burst(shared, spare).count(200) <= ADMITTED
    for kind, refusal in (("limit", 429), ("budget", 422)):
        statuses = burst(shared, new_key(shared, kind)[1])
        assert statuses.count(200) == ADMITTED, statuses
        assert statuses.count(refusal) >= ASKED - ADMITTED - statuses.count(None)
    # the proxy starts another in its place, which opens a gate of its own
    aicp_dev.wait_for(lambda: burst(shared, keys["limit"], 8) and len(gates(shared)) == 3, 60, every=1)
