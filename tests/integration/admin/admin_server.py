"""An admin-api process of the tests, its databases, and what tests read out of its answers."""

import contextlib
import pathlib
import re
import secrets
import signal
import socket
import subprocess
import urllib.parse

import aicp_dev

BINARY = aicp_dev.ROOT / "build/release/services/admin-api/admin-api"


class Server:
    """An admin-api of the tests: start, stop, kill, and calls without a session."""

    def __init__(self, folder: pathlib.Path, store: str, proxy: aicp_dev.Environment, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "admin-api.log"
        self.store = store
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None
        self.settings = {
            "PATH": "/usr/bin:/bin",
            "AICP_DATABASE_URL": store,
            "LITELLM_URL": proxy.url,
            "LITELLM_MASTER_KEY": proxy.master_key,
            "JWT_SECRET_KEY": secrets.token_hex(32),
            "INTERNAL_SERVICE_KEY": secrets.token_hex(32),
            "AICP_SECRET_KEY": secrets.token_hex(32),
            "ADMIN_API_PORT": str(self.port),
            "ADMIN_REQUESTS_PER_MINUTE": "0",
            "ENVIRONMENT": "development",
            **settings,
        }

    @property
    def master_key(self) -> str:
        return self.settings["LITELLM_MASTER_KEY"]

    @property
    def service_key(self) -> str:
        return self.settings["INTERNAL_SERVICE_KEY"]

    def start(self) -> "Server":
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY], env=self.settings, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        aicp_dev.wait_for(self.answers, 20, 0.05)
        return self

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        with contextlib.suppress(OSError):
            return aicp_dev.call("GET", self.url + "/health").status == 200
        return False

    def end(self, how: int = signal.SIGTERM) -> int | None:
        if self.process is None:
            return None
        self.process.send_signal(how)
        self.process, process = None, self.process
        return process.wait(40)

    def call(self, method: str, path: str, body=None, token: str | None = None, headers=None) -> aicp_dev.Answer:
        return aicp_dev.call(method, self.url + path, body, token, headers=headers)

    def login(self, api_key: str | None = None) -> aicp_dev.Admin:
        return aicp_dev.Admin(self.url, api_key or self.master_key)

    def service(self, method: str, path: str, body=None, **headers: str) -> aicp_dev.Answer:
        """A call as gates make them; PATH is below /api/v1/gate/."""
        headers["X-Service-Key"] = self.service_key
        return self.call(method, f"/api/v1/gate/{path}", body, headers=headers)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def psql(url: str, statement: str) -> str:
    done = subprocess.run(
        ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextlib.contextmanager
def database(proxy: aicp_dev.Environment):
    """The URL of a new database of the private PostgreSQL."""
    assert proxy.database, "a PostgreSQL of our own is needed: ./dev up without LITELLM_URL"
    name = aicp_dev.unique("admin").replace("-", "_")
    psql(proxy.database, f"CREATE DATABASE {name}")
    try:
        yield urllib.parse.urlsplit(proxy.database)._replace(path="/" + name).geturl()
    finally:
        psql(proxy.database, f"DROP DATABASE {name} WITH (FORCE)")


def fields_at_fault(answer: aicp_dev.Answer) -> set[str]:
    assert answer.status == 422, answer.text
    return {error["field"] for error in answer.body["errors"]}


def next_page(answer: aicp_dev.Answer) -> str | None:
    """The path of the next page, below /api/v1/."""
    found = re.fullmatch(r'</api/v1/(.*)>; rel="next"', answer.headers.get("link", ""))
    return found and found.group(1)
