"""The real admin-api on SQLite and on the environment's private PostgreSQL, with its real LiteLLM behind it."""

import pytest

import aicp_dev
from admin_server import Server, database


@pytest.fixture(scope="session")
def environment() -> aicp_dev.Environment:
    return aicp_dev.Environment.load()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def store(request, environment, tmp_path_factory):
    """URL of an empty store."""
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path_factory.mktemp('store')}/admin.db"
    else:
        with database(environment) as url:
            yield url


@pytest.fixture(scope="session")
def server(store, environment, tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("admin"), store, environment).start()
    yield running
    assert running.process.poll() is None, "admin-api ended on its own: " + running.log.read_text()[-2000:]
    running.end()


@pytest.fixture(scope="session")
def admin(server) -> aicp_dev.Admin:
    """A session of the platform's admin."""
    return server.login()


@pytest.fixture
def another(environment, tmp_path):
    """another(store=…, **settings) -> a further admin-api, ended after the test; without a store one of its own."""
    started = []

    def make(store: str | None = None, **settings: str) -> Server:
        folder = tmp_path / f"admin-{len(started)}"
        started.append(Server(folder, store or f"sqlite://{folder}/admin.db", environment, **settings))
        return started[-1].start()

    yield make
    for running in started:
        running.end()


@pytest.fixture
def made(admin):
    """made(path, **fields) -> the object made there; it is deleted after the test."""
    paths = []

    def make(path: str, **fields) -> dict:
        item = admin.post(path, fields)
        paths.append(f"{path}/{item['id']}")
        return item

    yield make
    for path in reversed(paths):
        assert admin.call("DELETE", path).status in (200, 404)


@pytest.fixture
def organization(made):
    """organization(**fields) -> an organization of the test."""

    def make(**fields) -> dict:
        name = aicp_dev.unique("org")
        return made("organizations", **{"name": name, "slug": name, **fields})

    return make


@pytest.fixture
def member(server, admin, made, environment):
    """member(org, role) -> (user, session): somebody with that role, logged in with a key of his own."""
    keys = []

    def make(org: dict, role: str = "member", **fields) -> tuple[dict, aicp_dev.Admin]:
        name = aicp_dev.unique("user")
        user = made("users", email=f"{name}@example.com", external_id=name)
        admin.post(f"organizations/{org['id']}/members", {"user_id": user["id"], "role": role, **fields})
        keys.append(environment.create_key(user_id=name))
        return user, server.login(keys[-1])

    yield make
    if keys:
        environment.admin("POST", "/key/delete", {"keys": keys})
