"""Rules down, slices down, events up; and what holds when processes die and databases go away."""

import contextlib
import os
import signal
import subprocess
import threading
import time

import aicp_dev
import pytest
from admin_server import free_port

import aicp

BODY = '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}'


@pytest.fixture
def gate(server, admin, made, tmp_path):
    """A gate that takes its rules from admin-api and sends its events there."""
    name = aicp_dev.unique("everybody")
    made("policies", name=name, text=f'@id("{name}") permit (principal, action, resource);')
    first_rules(server)
    with aicp.Gate(
        server.url, service_key=server.service_key, cache=tmp_path / "cache", node=name, background=True
    ) as opened:
        aicp_dev.wait_for(lambda: follows(admin, opened), 10, 0.05)
        yield opened


def first_rules(server) -> None:
    """Waits for the first bundle of a server that has just begun."""
    aicp_dev.wait_for(lambda: poll(server).status == 200, 20, 0.05)


def follows(admin, gate) -> bool:
    return gate.bundle_version == str(admin.get("gates/bundle")["revision"])


def status(gate, team: str) -> int:
    with gate.check(BODY, team=team, wait=2.0) as decision:
        return decision.http_status


def test_a_rule_is_followed_when_it_comes_changes_and_goes(admin, gate):
    team = aicp_dev.unique("team")
    assert status(gate, team) == 200
    rule = admin.post("rate-limits", {"name": team, "scope": "team", "scope_value": team, "rpm_limit": 0})
    aicp_dev.wait_for(lambda: status(gate, team) == 429, 5, 0.05)
    admin.put(f"rate-limits/{rule['id']}", {"rpm_limit": 100000})
    aicp_dev.wait_for(lambda: status(gate, team) == 200, 5, 0.05)
    admin.put(f"rate-limits/{rule['id']}", {"rpm_limit": 0})
    aicp_dev.wait_for(lambda: status(gate, team) == 429, 5, 0.05)
    admin.delete(f"rate-limits/{rule['id']}")
    aicp_dev.wait_for(lambda: status(gate, team) == 200, 5, 0.05)


def test_a_policy_refuses_and_its_refusal_comes_back_as_an_event(admin, gate, made):
    team = aicp_dev.unique("team")
    text = f'@id("{team}") @reason("not {team}") forbid (principal in AICP::Team::"{team}", action, resource);'
    made("policies", name=team, text=text)
    aicp_dev.wait_for(lambda: status(gate, team) == 403, 5, 0.05)
    rows = aicp_dev.wait_for(lambda: admin.get(f"gate-events?team_id={team}&action=deny"), 10)
    assert rows[0]["rule"] == team


def test_maintenance_closes_the_gates_too(admin, gate):
    admin.put("settings", {"maintenance_mode": True})
    try:
        aicp_dev.wait_for(lambda: status(gate, "any") == 503, 5, 0.05)
    finally:
        admin.put("settings", {"maintenance_mode": False})
    aicp_dev.wait_for(lambda: status(gate, "any") == 200, 5, 0.05)


def test_a_gate_is_listed_with_the_rules_it_goes_by(admin, gate):
    rows = aicp_dev.wait_for(lambda: [g for g in admin.get("gates?limit=1000") if g["bundle_version"] == gate.bundle_version])
    assert rows and rows[0]["last_seen_at"]


def test_gates_go_on_while_the_server_is_away_and_follow_again(another, tmp_path):
    server = another()
    admin = server.login()
    admin.post("policies", {"name": "all", "text": '@id("all") permit (principal, action, resource);'})
    first_rules(server)
    with aicp.Gate(server.url, service_key=server.service_key, cache=tmp_path / "cache", background=True) as gate:
        aicp_dev.wait_for(lambda: follows(admin, gate), 10, 0.05)
        server.end(signal.SIGKILL)
        assert status(gate, "red") == 200
        with aicp.Gate(server.url, service_key=server.service_key, cache=tmp_path / "cache", background=True) as second:
            assert status(second, "red") == 200  # from the copy on disk
        server.start()
        admin = server.login()
        admin.post("rate-limits", {"name": "red", "scope": "team", "scope_value": "red", "rpm_limit": 0})
        aicp_dev.wait_for(lambda: status(gate, "red") == 429, 20, 0.1)


# ---- the protocol itself ----


def poll(server, etag: str | None = None, wait: int = 0):
    headers = {"If-None-Match": etag} if etag else {}
    return server.service("GET", f"bundle?node=poller&boot=b&wait={wait}", **headers)


def test_a_long_poll_ends_when_rules_change(server, admin, made):
    made("rate-limits", name="any", scope="global", rpm_limit=100000)
    first_rules(server)
    newest = str(admin.get("gates/bundle")["revision"])
    first = aicp_dev.wait_for(lambda: found if (found := poll(server)).body["version"] == newest else None, 10, 0.05)
    assert poll(server, first.headers["etag"]).status == 304
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(poll(server, first.headers["etag"], 30)))
    waiting.start()
    made("rate-limits", name="another", scope="global", rpm_limit=100000)
    waiting.join(25)
    assert [answer.status for answer in answers] == [200]
    assert answers[0].headers["etag"] != first.headers["etag"]
    for section in answers[0].body["sections"].values():
        got = server.service("GET", f"bundle/sections/{section['sha256']}")
        assert got.status == 200 and len(got.raw) == section["size"]
    assert server.service("GET", "bundle/sections/" + "0" * 64).status == 404


def test_events_that_come_twice_count_once(server, admin):
    node, team = aicp_dev.unique("node"), aicp_dev.unique("team")
    events = [
        {"v": 1, "event": "decision", "time": aicp_dev.ago(0), "action": "deny", "team": team, "sequence": n} for n in range(1, 6)
    ]

    def send(boot: str, *some: dict) -> dict:
        body = {"format": "aicp-events/1", "node": node, "boot": boot, "dropped": 0, "events": list(some)}
        answer = server.service("POST", "events", body)
        assert answer.status == 200, answer.text
        return answer.body

    assert send("b1", *events[:3]) == {"accepted": 3, "duplicates": 0, "next": 4}
    assert send("b1", *events) == {"accepted": 2, "duplicates": 3, "next": 6}
    assert send("b1", *events)["accepted"] == 0
    assert send("b2", *events[:2])["accepted"] == 2  # after a start numbers begin anew
    assert admin.call("GET", f"gate-events?team_id={team}").headers["x-total-count"] == "7"


# ---- many servers, deaths, databases that go away ----


def change_until(stop: threading.Event, server, token: str, done: list[str]) -> None:
    """Creates rate limits until told to stop; DONE gets the names of those that the server confirmed."""
    while not stop.is_set():
        name = aicp_dev.unique("w")
        with contextlib.suppress(OSError):
            body = {"name": name, "scope": "global", "rpm_limit": 100000}
            if server.call("POST", "/api/v1/rate-limits", body, token).status == 200:
                done.append(name)


def writers(server, token: str, stop: threading.Event, done: list[str], count: int = 4) -> list[threading.Thread]:
    threads = [threading.Thread(target=change_until, args=(stop, server, token, done)) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def everything(admin, path: str) -> list[dict]:
    rows, offset = [], 0
    joint = "&" if "?" in path else "?"
    while page := admin.get(f"{path}{joint}limit=1000&offset={offset}"):
        rows, offset = rows + page, offset + 1000
    return rows


def every_change_has_its_entry(admin, confirmed: list[str]) -> None:
    names = [row["name"] for row in everything(admin, "rate-limits")]
    logged = [row["resource_name"] for row in everything(admin, "audit-logs?resource_type=rate_limit&action=create")]
    assert sorted(names) == sorted(logged)
    assert set(confirmed) <= set(names)
    report = admin.get("audit-logs/verify")
    assert report["valid"], report


@pytest.fixture(params=["sqlite", "postgresql"])
def own_store(request, tmp_path):
    """URL of a store that nothing else uses."""
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/own.db"
    return request.getfixturevalue("postgres").url


def test_no_change_is_without_its_entry_after_kills_under_writes(own_store, another):
    server = another(store=own_store)
    confirmed: list[str] = []
    for _ in range(3):
        stop = threading.Event()
        threads = writers(server, server.login().token, stop, confirmed)
        mark = len(confirmed)
        aicp_dev.wait_for(lambda: len(confirmed) > mark + 20, 30, 0.01)
        server.end(signal.SIGKILL)
        stop.set()
        for thread in threads:
            thread.join()
        server.start()
    every_change_has_its_entry(server.login(), confirmed)


class Postgres:
    """A PostgreSQL of a test's own, that may be stopped."""

    def __init__(self, folder) -> None:
        self.folder, self.port = folder / "data", free_port()
        [self.bin] = sorted(aicp_dev.pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        self.user = ["unshare", "--user", "--map-user=65534", "--map-group=65534"] if os.geteuid() == 0 else []
        made = subprocess.run(
            [*self.user, self.bin / "initdb", "-D", self.folder, "-U", "aicp", "--auth=trust", "--no-sync"],
            capture_output=True, text=True, cwd=folder,
        )
        assert made.returncode == 0, made.stderr
        self.url = f"postgresql://aicp@127.0.0.1:{self.port}/postgres"
        self.process = None

    def start(self) -> None:
        options = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off")
        self.process = subprocess.Popen(
            [*self.user, self.bin / "postgres", "-D", self.folder, "-p", str(self.port), *(f"-c{o}" for o in options)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        ready = [self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        aicp_dev.wait_for(lambda: subprocess.run(ready).returncode == 0, 30, 0.05)

    def stop(self, how: int = signal.SIGINT) -> None:
        if self.process:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None


@pytest.fixture
def postgres(tmp_path):
    own = Postgres(tmp_path)
    own.start()
    yield own
    own.stop()


def test_a_restart_of_postgresql_under_writes_is_survived(postgres, another):
    server = another(store=postgres.url)
    process, admin, confirmed, stop = server.process, server.login(), [], threading.Event()
    threads = writers(server, admin.token, stop, confirmed)
    for how in (signal.SIGINT, signal.SIGQUIT):  # fast, and at once as in a crash
        mark = len(confirmed)
        aicp_dev.wait_for(lambda: len(confirmed) > mark + 10, 30, 0.01)
        postgres.stop(how)
        aicp_dev.wait_for(lambda: admin.call("GET", "rate-limits").status == 503, 20, 0.05)
        postgres.start()
    mark = len(confirmed)
    aicp_dev.wait_for(lambda: len(confirmed) > mark + 10, 40, 0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert server.process is process and process.poll() is None
    every_change_has_its_entry(admin, confirmed)


def test_two_replicas_on_one_postgresql_are_one(postgres, another):
    first = another(store=postgres.url)
    second = another(store=postgres.url, JWT_SECRET_KEY=first.settings["JWT_SECRET_KEY"])
    token, confirmed, stop = first.login().token, [], threading.Event()
    threads = writers(first, token, stop, confirmed, 2) + writers(second, token, stop, confirmed, 2)
    aicp_dev.wait_for(lambda: len(confirmed) > 60, 40, 0.01)
    stop.set()
    for thread in threads:
        thread.join()
    admin, other = first.login(), aicp_dev.Admin(second.url, second.master_key)
    every_change_has_its_entry(admin, confirmed)
    every_change_has_its_entry(other, confirmed)
    path = f"rate-limits/{admin.get('rate-limits?limit=1')[0]['id']}"
    for n in range(10):
        etag = admin.call("GET", path).headers["etag"]
        answers: list[int] = []
        pair = [
            threading.Thread(target=lambda s=s: answers.append(s.call("PUT", path, {"description": f"{n}"}, {"If-Match": etag}).status))
            for s in (admin, other)
        ]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()
        assert sorted(answers) == [200, 412]
        assert admin.get(path) == other.get(path)
    assert admin.get("audit-logs/verify")["valid"] and other.get("audit-logs/verify")["valid"]
