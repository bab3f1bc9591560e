"""Fixtures over the running proxy of ./dev up (./dev test integration starts one of its own)."""

import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import aicp_dev  # noqa: E402


@pytest.fixture(scope="session")
def proxy() -> aicp_dev.Environment:
    """The proxy: url, master_key, echo, bundle, and the calls of scripts/aicp_dev.py."""
    environment = aicp_dev.Environment.load()
    environment.chat(environment.master_key, "gpt-4o-mini", "hello")  # the first request opens the gate
    return environment


@pytest.fixture(scope="session")
def two_workers(tmp_path_factory):
    """A second proxy, with two worker processes and a state of its own: what workers must share is tested on it."""
    state = tmp_path_factory.mktemp("two-workers")
    ports = {f"AICP_DEV_{name}_PORT": "auto" for name in ("LITELLM", "ADMIN", "ECHO", "DATABASE")}
    try:
        started = aicp_dev.run_dev("up", state=state, AICP_DEV_WORKERS="2", **ports)
        assert started.returncode == 0, started.stderr
        yield aicp_dev.Environment.load(state)
    finally:
        aicp_dev.run_dev("down", state=state)


@pytest.fixture
def new_team(proxy):
    """new_team(prefix, **fields) -> team id; the team is deleted after the test."""
    made = []

    def make(prefix: str = "team", **fields) -> str:
        made.append(proxy.create_team(aicp_dev.unique(prefix), **fields))
        return made[-1]

    yield make
    if made:
        proxy.admin("POST", "/team/delete", {"team_ids": made})


@pytest.fixture
def new_key(proxy):
    """new_key(**fields) -> a virtual key; it is deleted after the test."""
    made = []

    def make(**fields) -> str:
        made.append(proxy.create_key(**fields))
        return made[-1]

    yield make
    for key in made:
        proxy.admin("POST", "/key/delete", {"keys": [key]})


class Governed:
    """The proxy under the demo bundle and some rules of the tests; teams and keys are made when first named."""

    def __init__(self, proxy: aicp_dev.Environment) -> None:
        self.proxy = proxy
        self.suffix = aicp_dev.unique("it")
        self.keys: dict[str, str] = {}

    def team(self, name: str) -> str:
        """The id of a team; rules mean it by its name and a dash."""
        return f"{name}-{self.suffix}"

    def key(self, name: str) -> str:
        if name not in self.keys:
            self.proxy.create_team(self.team(name))
            self.keys[name] = self.proxy.create_key(team_id=self.team(name))
        return self.keys[name]

    def chat(self, team: str, model: str, content, **fields) -> aicp_dev.Answer:
        return self.proxy.chat(self.key(team), model, content, **fields)

    def post(self, team: str, path: str, body: dict, **fields) -> aicp_dev.Answer:
        return self.proxy.post(path, self.key(team), body, **fields)

    def settled(self, answer: aicp_dev.Answer) -> dict:
        return self.proxy.settled(answer.headers["x-aicp-decision-id"])

    def account(self, team: str, rule: str = "team"):
        """What the ledger says of the team's account of a rule of accounts.json."""
        import aicp

        name = self.team(team)
        with aicp.Ledger(self.proxy.store, node="tests") as ledger:
            return ledger.status(f"{rule}:{name}")

    def nothing_reserved(self, team: str, rule: str = "team", seconds: float = 20):
        """The team's account as soon as nothing is reserved on it any more: all that is not spent can be had."""
        import aicp

        account = f"{rule}:{self.team(team)}"
        with aicp.Ledger(self.proxy.store, node="tests") as ledger:

            def found():
                status = ledger.status(account)
                everything = status.limit_nano - status.spent_nano
                probe = aicp_dev.unique("probe")
                if not ledger.reserve(probe, [account], everything, timeout=1.0):
                    return None
                ledger.release(probe)
                return status

            return aicp_dev.wait_for(found, seconds)

    def write_rules(self) -> None:
        def more(*entries: dict):
            return lambda text: json.dumps(json.loads(text) + list(entries))

        def team(name: str) -> dict:
            return {"per": ["team"], "match": {"team": [f"{name}-*"]}}

        def assign(text: str) -> str:
            guardrails = json.loads(text)
            guardrails["assignments"].append({"match": {"team": ["t-restore-*"]}, "profile": "restore", "priority": 20})
            return json.dumps(guardrails)

        self.proxy.change_bundle(
            accounts=more(
                {"id": "t-zero", "hard": "0", "duration": "never", **team("t-zero")},
                {"id": "t-short", "hard": "0.0005", "duration": "never", **team("t-short")},
                {"id": "t-thrift", "hard": "0.0005", "duration": "never", **team("t-thrift")},
            ),
            limits=more(
                {"id": "t-pace", "kind": "requests", "limit": 2, "window": "6s", "shared": True, "exact": True, **team("t-pace")},
                {"id": "t-tries", "kind": "requests", "limit": 2, "window": "1h", **team("t-tries")},
                {"id": "t-slot", "kind": "concurrency", "limit": 1, **team("t-slot")},
            ),
            guardrails=assign,
            policies=lambda text: text
            + f"""
@id("t-red") @reason("team red may not") @advice("ask blue")
forbid (principal in AICP::Team::"{self.team("t-red")}", action, resource in AICP::Tier::"frontier");
@id("t-red-embeddings") @reason("team red embeds nothing")
forbid (principal in AICP::Team::"{self.team("t-red")}", action == AICP::Action::"embed", resource);
@id("t-kiosk") @reason("kiosk keys work from the office network only")
forbid (principal in AICP::Team::"{self.team("t-kiosk")}", action, resource)
unless {{ context has ip && context.ip.isInRange(ip("10.20.0.0/16")) }};
""",
        )


@pytest.fixture(scope="session")
def governed(proxy):
    """The proxy with rules for the teams t-…; the demo bundle is put back at the end."""
    world = Governed(proxy)
    proxy.restore_bundle()
    world.write_rules()
    yield world
    for name in world.keys:
        proxy.admin("POST", "/team/delete", {"team_ids": [world.team(name)]})
    proxy.restore_bundle()
