"""The demo, as a newcomer runs it."""

import re

import aicp_dev
import pytest


def run_demo(state, rows: int) -> None:
    done = aicp_dev.run_dev("demo", state=state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT AS EXPECTED" not in done.stdout
    found = re.findall(r"^(\d+) +\S.{26,29}  (?:allowed|refused \d+) +[\d,]*  \S", done.stdout, re.MULTILINE)
    assert [int(number) for number in found] == list(range(1, rows + 1)), done.stdout
    told, asked = re.search(r"^(\d+) of (\d+) as expected$", done.stdout, re.MULTILINE).groups()
    assert told == asked


def test_the_demo_comes_out_as_expected_with_rules_from_a_folder(proxy):
    run_demo(proxy.state, 8)


@pytest.fixture
def control_plane(tmp_path_factory):
    """An environment as ./dev up makes it: rules from admin-api."""
    state = tmp_path_factory.mktemp("control-plane")
    settings = {f"AICP_DEV_{name}_PORT": "auto" for name in ("LITELLM", "ADMIN", "ECHO", "DATABASE")}
    try:
        started = aicp_dev.run_dev("up", state=state, AICP_DEV_RULES="admin", **settings)
        assert started.returncode == 0, started.stderr
        yield state
    finally:
        aicp_dev.run_dev("down", state=state)


def test_the_demo_comes_out_as_expected_through_admin_api(control_plane, monkeypatch):
    monkeypatch.setenv("AICP_DEV_RULES", "admin")  # for the part that starts admin-api again
    run_demo(control_plane, 10)
