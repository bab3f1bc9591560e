"""The running development environment, for the demo and the integration tests: where it is, keys, teams, what models saw.

    env = aicp_dev.Environment.load()            # of ./dev status --json
    team = env.create_team("red")
    key = env.create_key(alias="red-1", team_id=team)
    client = env.client(key)                     # an openai.OpenAI
"""

import dataclasses
import datetime
import json
import os
import pathlib
import subprocess
import time
import urllib.error
import urllib.request
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent


class AdminError(Exception):
    """The proxy refused an administrative call."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status


@dataclasses.dataclass
class Answer:
    """An HTTP answer, whatever its status."""

    status: int
    headers: dict[str, str]  # names in lower case
    raw: bytes

    @property
    def body(self):
        return json.loads(self.raw)

    @property
    def text(self) -> str:
        return self.raw.decode("utf-8", "replace")

    @property
    def detail(self) -> dict:
        """What a refusal of our handler says: error.provider_specific_fields, or error."""
        error = self.body.get("error") or {}
        return error.get("provider_specific_fields") or error

    def events(self) -> list[dict]:
        """The data of a streamed answer, without the closing [DONE]."""
        lines = (line[6:] for line in self.text.splitlines() if line.startswith("data: "))
        return [json.loads(line) for line in lines if line != "[DONE]"]

    def streamed_text(self) -> str:
        choices = (choice for event in self.events() for choice in event.get("choices", []))
        return "".join(choice.get("delta", {}).get("content") or "" for choice in choices)


def call(method: str, url: str, body=None, key: str | None = None, timeout: float = 60, headers=None) -> Answer:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    if data is not None:
        request.add_header("Content-Type", "application/json")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, response.read())


def run_dev(*arguments: str, state: pathlib.Path | None = None, **settings: str) -> subprocess.CompletedProcess:
    """Runs ./dev with SETTINGS in its environment."""
    if state:
        settings["AICP_DEV_STATE"] = str(state)
    return subprocess.run(
        [ROOT / "dev", *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


class Admin:
    """admin-api, logged in with an API key."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        answer = call("POST", f"{url}/auth/login", {"api_key": api_key})
        if answer.status != 200:
            raise AdminError(answer.status, answer.text[:500])
        self.token = answer.body["access_token"]

    def call(self, method: str, path: str, body=None, headers=None) -> Answer:
        """PATH is below /api/v1/."""
        return call(method, f"{self.url}/api/v1/{path}", body, self.token, headers=headers)

    def ok(self, method: str, path: str, body=None):
        answer = self.call(method, path, body)
        if answer.status >= 300:
            raise AdminError(answer.status, f"{method} {path}: {answer.text[:500]}")
        return answer.body

    def get(self, path: str):
        return self.ok("GET", path)

    def post(self, path: str, body=None):
        return self.ok("POST", path, body)

    def put(self, path: str, body):
        return self.ok("PUT", path, body)

    def delete(self, path: str):
        return self.ok("DELETE", path)

    def named(self, path: str, name: str) -> dict:
        """The object of a list that has this name."""
        return next(item for item in self.get(f"{path}?limit=1000") if item["name"] == name)

    def gates_follow(self, seconds: float = 15) -> str:
        """Waits until every gate seen lately goes by the newest rules; their version."""
        newest = str(self.get("gates/bundle")["revision"])

        def all_have_it() -> bool:
            nodes: dict[str, int] = {}  # a node that was started anew has several boots
            for gate in self.get("gates?last_seen_at.gte=" + ago(40)):
                if gate["bundle_version"]:
                    nodes[gate["node"]] = max(nodes.get(gate["node"], 0), int(gate["bundle_version"]))
            return bool(nodes) and all(version >= int(newest) for version in nodes.values())

        wait_for(all_have_it, seconds, 0.1)
        return newest


def ago(seconds: float) -> str:
    """A time in the past, as admin-api reads it."""
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclasses.dataclass
class Environment:
    url: str
    master_key: str
    echo: str | None  # base URL with /v1; None when the proxy is somebody else's
    database: str | None
    bundle: pathlib.Path | None  # the bundle that the gate watches
    store: str | None
    state: pathlib.Path
    admin_url: str | None  # admin-api, when the gate takes its rules from there

    @classmethod
    def load(cls, state: pathlib.Path | None = None) -> "Environment":
        """The environment in the folder STATE; without one, that of AICP_DEV_STATE or the checkout's own."""
        done = run_dev("status", "--json", state=state)
        status = json.loads(done.stdout or "{}")
        if not status.get("litellm") or not status["ready"]:
            where = os.environ.get("LITELLM_URL")
            what = f"no proxy answers on {where} (LITELLM_URL)" if where else "no proxy answers: ./dev up first"
            raise RuntimeError(f"{what} {done.stderr}".rstrip())
        bundle = status["bundle"] and pathlib.Path(status["bundle"])
        return cls(
            url=status["litellm"],
            master_key=status["master_key"],
            echo=status["echo"],
            database=status["database"],
            bundle=bundle,
            store=status["store"],
            state=pathlib.Path(status["state"]),
            admin_url=status["admin_api"] if not status["bundle"] else None,
        )

    def control(self) -> Admin:
        """admin-api, logged in with the master key."""
        return Admin(self.admin_url, self.master_key)

    def admin(self, method: str, path: str, body=None):
        """An administrative call of the proxy; the parsed answer."""
        answer = call(method, self.url + path, body, self.master_key)
        if answer.status >= 300:
            raise AdminError(answer.status, answer.text[:500])
        return answer.body

    def create_team(self, alias: str, **fields) -> str:
        """The id of the team with this alias, made when it is not there; FIELDS as for /team/new."""
        for team in self.admin("GET", "/team/list"):
            if team["team_alias"] == alias:
                return team["team_id"]
        return self.admin("POST", "/team/new", {"team_alias": alias, "team_id": alias, **fields})["team_id"]

    def create_key(self, alias: str | None = None, **fields) -> str:
        """A new virtual key; an older one of the same alias is deleted. FIELDS as for /key/generate."""
        if alias:
            try:
                self.admin("POST", "/key/delete", {"key_aliases": [alias]})
            except AdminError as error:
                if error.status != 404:
                    raise
            fields["key_alias"] = alias
        return self.admin("POST", "/key/generate", fields)["key"]

    def chat(self, key: str, model: str, content, headers: dict | None = None, **fields) -> Answer:
        """One chat request; CONTENT is the user's text or the whole list of messages."""
        messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
        body = {"model": model, "messages": messages, **fields}
        return self.post("/v1/chat/completions", key, body, headers)

    def post(self, path: str, key: str, body: dict, headers: dict | None = None) -> Answer:
        return call("POST", self.url + path, body, key, headers=headers)

    def client(self, key: str, **options):
        """An openai.OpenAI that tries once, so that every answer is seen."""
        import openai

        return openai.OpenAI(base_url=self.url + "/v1", api_key=key, max_retries=0, **options)

    def seen(self, containing: str = "", model: str | None = None) -> list[dict]:
        """The requests that reached the models, oldest first: {"path", "headers", "body"}."""
        assert self.echo, "only the echo server tells what a model saw"
        query = f"?model={model}" if model else ""
        seen = call("GET", self.echo.removesuffix("/v1") + "/_seen" + query).body["seen"]
        return [entry for entry in seen if containing in json.dumps(entry["body"], ensure_ascii=False)]

    # ---- the gate's events ----

    def events(self, name: str = "") -> list[dict]:
        """What the gate has told, oldest first: to admin-api, or into its file (a line that is half written is left
        out)."""
        if self.admin_url:
            query = f"type={name}&" if name else ""
            rows = self.control().get(f"gate-events?{query}sort=-created_at&limit=1000")
            return [row["details"] for row in reversed(rows)]
        path = self.state / "aicp" / "events.jsonl"
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        return [event for event in map(json.loads, lines) if name in ("", event["event"])]

    def event(self, name: str, wanted, seconds: float = 20) -> dict:
        """The newest event NAME for which WANTED(event) is true, waited for."""
        return wait_for(lambda: next(filter(wanted, reversed(self.events(name))), None), seconds)

    def settled(self, decision: str, seconds: float = 20) -> dict:
        """The settlement of a call; DECISION is what its header x-aicp-decision-id told."""
        if self.admin_url:
            admin, query = self.control(), f"gate-events?type=settled&call_id={decision}"
            return wait_for(lambda: admin.get(query), seconds)[0]["details"]
        return self.event("settled", lambda event: event["decision"] == decision, seconds)

    # ---- the bundle ----

    def change_bundle(self, gates: int = 1, **changes) -> str:
        """Changes sections of the bundle and waits until so many gates (workers) go by them; the new version.

        CHANGES: file name without ending = CHANGE(text) -> text, as in accounts=lambda text: text.replace("1", "2").
        """
        for stem, change in changes.items():
            (file,) = self.bundle.glob(f"{stem}.*")
            replace_file(file, change(file.read_text(encoding="utf-8")))
        return self.seal_bundle(gates)

    def restore_bundle(self) -> str:
        """Puts the demo bundle back as the project has it."""
        assert self.bundle, "the bundle of somebody else's proxy is not ours"
        for file in (ROOT / "config" / "bundle" / "demo").iterdir():
            replace_file(self.bundle / file.name, file.read_text(encoding="utf-8"))
        return self.seal_bundle()

    def seal_bundle(self, gates: int = 1) -> str:
        """Writes the manifest as `aicp bundle seal` does, and waits until so many gates have the new version."""
        import aicp

        version = unique("bundle")
        aicp.Bundle.seal(self.bundle, version)

        def boots() -> set:
            events = [event for event in self.events("bundle") if event.get("bundle") == version]
            return {event["boot"] for event in events if event["status"] == "loaded"}

        wait_for(lambda: len(boots()) >= gates)
        return version

    def spend_of(self, key: str) -> float:
        """What the proxy has booked on a key so far; it writes every few seconds."""
        return self.admin("GET", f"/key/info?key={key}")["info"]["spend"]


def replace_file(file: pathlib.Path, text: str) -> None:
    """Writes a file in one step: whoever reads it sees the old text or the new one."""
    fresh = file.with_name(file.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, file)


def wait_for(condition, seconds: float = 15, every: float = 0.2):
    """The first true value of CONDITION(); fails after SECONDS."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {condition}")
        time.sleep(every)


def unique(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"
