"""Fixtures over the running proxy of ./dev up (./dev test integration starts one of its own)."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import aicp_dev  # noqa: E402


@pytest.fixture(scope="session")
def proxy() -> aicp_dev.Environment:
    """The proxy: url, master_key, echo, bundle, and the calls of scripts/aicp_dev.py."""
    return aicp_dev.Environment.load()


@pytest.fixture(scope="session")
def two_workers(tmp_path_factory):
    """A second proxy, with two worker processes and a state of its own: what workers must share is tested on it."""
    state = tmp_path_factory.mktemp("two-workers")
    ports = {f"AICP_DEV_{name}_PORT": "auto" for name in ("LITELLM", "ECHO", "DATABASE")}
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
