"""What the OpenAPI document says holds for many made-up requests: schemathesis, with all its checks."""

import json
import os
import pathlib
import subprocess

import aicp_dev
import pytest

HERE = pathlib.Path(__file__).parent
# These end the session, or close the platform, under the other requests; they are asked on their own.
APART = {"/auth/logout", "/api/v1/settings"}


@pytest.fixture(scope="module")
def schemathesis() -> str:
    program = os.environ.get("AICP_SCHEMATHESIS")
    if not program:
        pytest.skip("./dev test integration installs schemathesis; AICP_SCHEMATHESIS names its program st")
    return program


@pytest.fixture
def same_proxy(environment):
    """What requests make in LiteLLM is gone after the test."""

    def there(path: str, name: str) -> set[str]:
        rows = environment.admin("GET", path)
        return {row[name] for row in rows if row.get(name)}

    def models() -> set[str]:
        return {model["model_info"]["id"] for model in environment.admin("GET", "/model/info")["data"]}

    def keys() -> set[str]:
        return set(environment.admin("GET", "/key/list?size=100")["keys"])

    teams, budgets, before, old = there("/team/list", "team_id"), there("/budget/list", "budget_id"), models(), keys()
    yield
    for model in models() - before:
        environment.admin("POST", "/model/delete", {"id": model})
    while new := sorted(keys() - old):
        environment.admin("POST", "/key/delete", {"keys": new})
    if new := sorted(there("/team/list", "team_id") - teams):
        environment.admin("POST", "/team/delete", {"team_ids": new})
    for budget in there("/budget/list", "budget_id") - budgets:
        environment.admin("POST", "/budget/delete", {"id": budget})


def run(program: str, server, folder: pathlib.Path, *options: str) -> dict:
    """Runs it with a fixed seed; its report."""
    session = server.login()
    done = subprocess.run(
        [
            program, "--config-file", HERE / "schemathesis.toml", "run", f"{server.url}/openapi.json",
            "-H", f"Authorization: Bearer {session.token}", "-H", f"X-Service-Key: {server.service_key}",
            "--checks", "all", "--generation-database", "none", "--no-color", "--no-shrink",
            "--report", "json", "--report-json-path", folder / "report.json", *options,
        ],
        cwd=folder, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
    return json.loads((folder / "report.json").read_text())


def test_every_operation_keeps_to_the_document(schemathesis, another, same_proxy, tmp_path):
    server = another()
    apart = [option for path in APART for option in ("--exclude-path", path)]
    for seed in ("4", "5"):  # many examples of one run take much longer than the same in two
        run(schemathesis, server, tmp_path, *apart, "--phases", "fuzzing", "--max-examples", "3", "--seed", seed)
    assert requests(server) >= 1000
    assert server.call("GET", "/health").status == 200


def requests(server) -> int:
    """How many requests the server answered, and that it failed at none."""
    answered = [json.loads(line) for line in server.log.read_text().splitlines()]
    answered = [line for line in answered if line["message"] == "request"]
    failed = [line for line in answered if line["status"] >= 500 and line["status"] != 501]
    assert not failed, failed[:5]
    return len(answered)


@pytest.mark.parametrize("path", sorted(APART))
def test_what_ends_sessions_or_closes_the_platform_keeps_to_it_too(schemathesis, another, tmp_path, path):
    server = another(LITELLM_URL="http://127.0.0.1:9")  # settings reach LiteLLM's configuration
    run(schemathesis, server, tmp_path, "--include-path", path, "--phases", "fuzzing", "--max-examples", "10", "--seed", "4")
    assert aicp_dev.Admin(server.url, server.master_key).call("GET", "settings").status == 200
