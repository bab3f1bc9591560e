"""admin-api's CPU time a request beside the same routes in FastAPI and asyncpg, and its audit log with a million rows.

    ./dev bench admin [--requests 250] [--rounds 7] [--audit-rows 1000000] [--only routes|audit] [--json]

Both servers have a database of their own, with the same tables and rows, on one private PostgreSQL, and are asked in turns over
eight kept connections, round by round, so that other load on the machine meets both alike. CPU time is that of the
server's process and its ended children from /proc, so neither waiting nor PostgreSQL counts. Both write their access log into a
file, as they do by default. admin-api gets ten times the requests, because /proc counts in hundredths of a second.
"""

import argparse
import asyncio
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import secrets
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import asyncpg

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ADMIN = pathlib.Path(os.environ.get("BENCH_ADMIN_API", ROOT / "build/bench/services/admin-api/admin-api"))
PEER = ROOT / "tests/bench/peers/admin"
TICKS = os.sysconf("SC_CLK_TCK")
CONNECTIONS = 8
USERS = 1000
PROVIDERS = ("oidc", "okta", "azure_ad", "google_workspace")
DAY_NS = 86_400_000_000_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(name: str, folder: pathlib.Path, arguments: list[str], ready: str, settings: dict[str, str]):
    with open(folder / f"{name}.log", "wb") as log:
        environment = {**os.environ, **settings}
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=environment)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(ready, timeout=2).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start:\n" + (folder / f"{name}.log").read_text()[-2000:])
            time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


class AdminApi:
    """A running admin-api on a store."""

    def __init__(self, stack: contextlib.ExitStack, folder: pathlib.Path, name: str, database: str) -> None:
        self.secret, self.master, self.port = secrets.token_hex(32), "sk-" + secrets.token_hex(16), free_port()
        settings = {
            "AICP_DATABASE_URL": database,
            "LITELLM_MASTER_KEY": self.master,
            "JWT_SECRET_KEY": self.secret,
            "ADMIN_API_PORT": str(self.port),
            "ADMIN_REQUESTS_PER_MINUTE": "1000000",
        }
        ready = f"http://127.0.0.1:{self.port}/health"
        self.pid = stack.enter_context(running(name, folder, [str(ADMIN)], ready, settings))
        body = json.dumps({"api_key": self.master}).encode()
        login = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/auth/login", body, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(login) as answer:
            self.token = json.load(answer)["access_token"]


# ---- the routes ----


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


async def ask_all(port: int, requests: list[bytes]) -> bytes:
    """Sends all over CONNECTIONS; the last answer's body."""
    queue, last = iter(requests), b""

    async def client() -> None:
        nonlocal last
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in queue:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(int(length[15:]))
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError((head + body).decode())
            last = body
        writer.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return last


def request_bytes(method: str, path: str, token: str, body: dict | None = None) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nUser-Agent: bench\r\n"
    if body is not None:
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    return head.encode() + b"\r\n" + data


NUMBERS = itertools.count(1)


def requests_of(route: str, count: int, token: str) -> list[bytes]:
    if route == "list":
        path = "/api/v1/users?auth_provider=okta&limit=50"
        return [request_bytes("GET", path, token)] * count
    if route == "get":
        return [request_bytes("GET", f"/api/v1/users/user-{n % USERS:04d}", token) for n in range(count)]
    user = {"display_name": "Somebody New", "avatar_url": "https://example.com/a.png"}
    bodies = ({"email": f"new-{next(NUMBERS)}@example.com", **user} for _ in range(count))
    return [request_bytes("POST", "/api/v1/users", token, body) for body in bodies]


async def fill_users(url: str) -> None:
    """Users of which a quarter meets the filter."""
    connection = await asyncpg.connect(url)
    now = time.time_ns()
    rows = [
        (f"user-{n:04d}", 1, now, now, f"user-{n:04d}@example.com", f"User {n}", None, PROVIDERS[n % 4], f"external-{n}", 1, 0, None)
        for n in range(USERS)
    ]
    await connection.executemany(
        "INSERT INTO admin_user (id, version, created_at, updated_at, email, display_name, avatar_url, auth_provider, external_id, "
        "is_active, is_platform_admin, last_login_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        rows,
    )
    await connection.execute("ANALYZE")
    await connection.close()


def check_same(route: str, answers: dict[str, bytes]) -> None:
    """That both did the same work: the same members, the same rows."""
    ours, peer = json.loads(answers["admin-api"]), json.loads(answers["peer"])
    if route == "create":
        ours, peer = sorted(ours), sorted(peer)
    else:  # times differ, the databases were filled one after the other
        for user in [*(ours if route == "list" else [ours]), *(peer if route == "list" else [peer])]:
            user["created_at"] = user["updated_at"] = None
    if ours != peer:
        raise RuntimeError(f"{route}: the answers differ:\n{ours}\n{peer}")


def measure(pid: int, port: int, requests: list[bytes]) -> tuple[float, bytes]:
    before = cpu_seconds(pid)
    last = asyncio.run(ask_all(port, requests))
    return (cpu_seconds(pid) - before) * 1e6 / len(requests), last


def bench_routes(options: argparse.Namespace, folder: pathlib.Path) -> None:
    base = os.environ["BENCH_POSTGRES"]
    with contextlib.ExitStack() as stack:
        with contextlib.ExitStack() as short:  # makes the peer's tables
            AdminApi(short, folder, "tables", base + "bench_peer")
        ours = AdminApi(stack, folder, "admin-api", base + "bench_admin")
        asyncio.run(fill_users(base + "bench_admin"))
        asyncio.run(fill_users(base + "bench_peer"))
        port = free_port()
        arguments = [sys.executable, "-m", "uvicorn", "app:app", "--app-dir", str(PEER), "--port", str(port)]
        settings = {"PEER_DATABASE_URL": base + "bench_peer", "PEER_JWT_SECRET": ours.secret}
        peer = stack.enter_context(running("peer", folder, arguments, f"http://127.0.0.1:{port}/openapi.json", settings))
        servers = {"admin-api": (ours.pid, ours.port, 10), "peer": (peer, port, 1)}
        for route in ("list", "get", "create"):
            for pid, at, _ in servers.values():
                measure(pid, at, requests_of(route, 200, ours.token))
            check_same(route, {n: measure(p, at, requests_of(route, 1, ours.token))[1] for n, (p, at, _) in servers.items()})
        results: dict[str, dict[str, list[float]]] = {}
        for _ in range(options.rounds):
            for route in ("list", "get", "create"):
                for name, (pid, at, times) in servers.items():
                    requests = requests_of(route, options.requests * times, ours.token)
                    results.setdefault(route, {}).setdefault(name, []).append(measure(pid, at, requests)[0])
    report_routes(results, options.json)


def report_routes(results: dict[str, dict[str, list[float]]], as_json: bool) -> None:
    for route, by_name in results.items():
        ours, peer = by_name["admin-api"], by_name["peer"]
        ratios = [b / a for a, b in zip(ours, peer, strict=True)]
        line = {
            "bench": f"admin/{route}",
            "us": round(statistics.median(ours), 1),
            "peer_us": round(statistics.median(peer), 1),
            "times": round(statistics.median(ratios), 1),
            "ratios": [round(ratio, 1) for ratio in ratios],
        }
        if as_json:
            print(json.dumps(line), flush=True)
        else:
            print(
                f"{route:7} {line['us']:7.1f} µs CPU a request, FastAPI {line['peer_us']:8.1f} µs: {line['times']:.1f} times less "
                f"(rounds {min(ratios):.1f} to {max(ratios):.1f})",
                flush=True,
            )


# ---- the audit log ----

ENTRY = """INSERT INTO audit_log (at, actor_id, actor_email, actor_ip, org_id, action, resource_type, resource_id,
    resource_name, changes, request_metadata, outcome)
SELECT {start} + n * 60000000, 'user-' || (n % 50), 'user-' || (n % 50) || '@example.com', '10.0.0.1', 'org-' || (n % 20),
    CASE n % 4 WHEN 0 THEN 'create' WHEN 1 THEN 'delete' ELSE 'update' END,
    CASE n % 5 WHEN 0 THEN 'policy' WHEN 1 THEN 'rate_limit' WHEN 2 THEN 'team' WHEN 3 THEN 'user' ELSE 'model' END,
    'thing-' || (n % 10000), 'Thing ' || (n % 10000),
    '{{"before":{{"id":"thing-' || (n % 10000) || '","priority":' || (n % 7) || '}},"after":{{"id":"thing-' || (n % 10000) ||
        '","priority":' || ((n + 1) % 7) || '}}}}',
    '{{"method":"PUT","path":"/api/v1/rate-limits/thing-' || (n % 10000) || '","user_agent":"bench","request_id":"r-' || n || '"}}',
    CASE WHEN n % 100 = 0 THEN 'failure' ELSE 'success' END
FROM {numbers}"""

PAGES = {
    "newest": "limit=100",
    "one type": "resource_type=policy&limit=100",
    "type, action and actor": "resource_type=policy&action=delete&actor_id=user-5&limit=100",
    "organization, failures": "org_id=org-0&outcome=failure&limit=100",
    "one thing": "resource_id=thing-77&limit=100",
    "a day of one actor": "actor_id=user-7&timestamp.gte={day}&timestamp.lt={next}&limit=100",
    "nothing": "actor_id=nobody&limit=100",
}


async def fill_postgres(url: str, rows: int, start: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(ENTRY.format(start=start, numbers=f"generate_series(1::bigint, {rows}) AS n"))
    await connection.execute("VACUUM ANALYZE audit_log")  # as autovacuum does of itself after so many rows
    await connection.close()


def fill_sqlite(path: pathlib.Path, rows: int, start: int) -> None:
    numbers = f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows}) SELECT n FROM c)"
    connection = sqlite3.connect(path, timeout=60)
    connection.execute("PRAGMA cache_size = -200000")
    with connection:
        connection.execute(ENTRY.format(start=start, numbers=numbers))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def rss_kib(pid: int) -> int:
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def get(api: AdminApi, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=120)
    connection.request("GET", path, headers={"Authorization": f"Bearer {api.token}"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {answer.read()[:500]!r}")
    return answer


def page_times(api: AdminApi, query: str, rounds: int) -> tuple[int, list[float]]:
    """Rows of the page, and milliseconds by the wall clock, with the count of all rows that the filter leaves."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        text = get(api, "/api/v1/audit-logs?" + query).read()
        times.append((time.perf_counter() - start) * 1000)
    return len(json.loads(text)), times


def export(api: AdminApi, form: str, rows: int) -> dict:
    """Streams ROWS entries and watches the server's memory meanwhile."""
    samples, done = [rss_kib(api.pid)], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            samples.append(rss_kib(api.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    answer, size = get(api, f"/api/v1/audit-logs/export?format={form}&limit={rows}"), 0
    while part := answer.read(65536):
        size += len(part)
    done.set()
    watcher.join()
    return {"rows": rows, "bytes": size, "before_kib": samples[0], "most_kib": max(samples), "after_kib": rss_kib(api.pid)}


def day_text(ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ns // 1_000_000_000))


def bench_audit(options: argparse.Namespace, folder: pathlib.Path) -> None:
    start = time.time_ns() - options.audit_rows * 60_000_000 - DAY_NS
    middle = start + options.audit_rows * 30_000_000
    day = {"day": day_text(middle), "next": day_text(middle + DAY_NS // 24)}
    for engine in ("SQLite", "PostgreSQL"):
        url = f"sqlite://{folder}/audit.db" if engine == "SQLite" else os.environ["BENCH_POSTGRES"] + "bench_audit"
        with contextlib.ExitStack() as stack:
            api = AdminApi(stack, folder, f"audit-{engine}", url)
            if engine == "SQLite":
                fill_sqlite(folder / "audit.db", options.audit_rows, start)
            else:
                asyncio.run(fill_postgres(url, options.audit_rows, start))
            for name, query in PAGES.items():
                rows, times = page_times(api, query.format(**day), 15)
                line = {"rows": rows, "ms": round(statistics.median(times), 1), "most_ms": round(max(times), 1)}
                report_audit(f"{engine}/{name}", line, options.json)
            for _ in range(24):  # each of the server's threads once, so that its own buffers are there
                get(api, "/api/v1/audit-logs/export?limit=1000").read()
            for form, rows in (("csv", 1000), ("csv", 50000), ("json", 50000)):
                report_audit(f"{engine}/export {form}", export(api, form, rows), options.json)


def report_audit(name: str, line: dict, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"bench": f"admin/audit/{name}", **line}), flush=True)
    elif "ms" in line:
        print(f"{name:34} {line['ms']:6.1f} ms a page of {line['rows']} rows, at most {line['most_ms']:.1f}", flush=True)
    else:
        print(
            f"{name:34} {line['rows']} rows, {line['bytes'] / 1e6:.1f} MB: memory {line['before_kib'] / 1024:.1f} MiB before, at most "
            f"{line['most_kib'] / 1024:.1f}, {line['after_kib'] / 1024:.1f} after",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=250, help="to the peer, per route and round; ten times as many to admin-api")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--audit-rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("routes", "audit"))
    parser.add_argument("--json", action="store_true", help="JSON Lines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aicp-bench-") as name:
        folder = pathlib.Path(name)
        if options.only != "audit":
            bench_routes(options, folder)
        if options.only != "routes":
            bench_audit(options, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
