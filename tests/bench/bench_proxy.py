"""What the handler adds to a request through a real LiteLLM proxy, in CPU time of the proxy's process.

    ./dev bench proxy [--requests 200] [--rounds 5] [--json]

Three proxies without a database run side by side over one echo server: one plain, one with a guardrail class that does
nothing (what LiteLLM itself spends as soon as there is one), one with our handler and the demo bundle. Requests of about
2 KB go to them in turns, round by round, so that other load on the machine meets all alike. CPU time comes from /proc,
so waiting does not count.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import aicp_dev  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
NOTHING = """from litellm.integrations.custom_guardrail import CustomGuardrail


class Nothing(CustomGuardrail):
    use_native_lifecycle_hooks = True

    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        return data

    async def async_post_call_success_hook(self, data, user_api_key_dict, response):
        return response

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        return None
"""
TEXT = "The quarterly report compares regional sales with the plan and lists open questions. " * 24


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(name: str, folder: pathlib.Path, arguments: list[str], ready: str, settings: dict[str, str]):
    """A process of ours until the end of the block, from the moment that READY answers."""
    with open(folder / f"{name}.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={**os.environ, **settings},
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                if aicp_dev.call("GET", ready, timeout=2).status == 200:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start:\n" + (folder / f"{name}.log").read_text()[-2000:])
            time.sleep(0.2)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def proxy(name: str, folder: pathlib.Path, echo: str, key: str, without: list[str]):
    config, port = folder / f"{name}.yaml", free_port()
    flags = [flag for part in without for flag in ("--without", part)]
    script = ROOT / "scripts" / "litellm" / "configure.py"
    source = ROOT / "config" / "litellm" / "dev.yaml"
    subprocess.run([sys.executable, script, "--echo", echo, *flags, source, config], check=True)
    if name == "nothing":
        (folder / "nothing.py").write_text(NOTHING)
        config.write_text(config.read_text().replace("aicp.litellm.AicpGuardrail", "nothing.Nothing"))
    start = "import sys; from litellm import run_server; sys.exit(run_server())"
    arguments = ["-c", start, "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    settings = {
        "LITELLM_MASTER_KEY": key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "AICP_ECHO_URL": echo,
        "AICP_BUNDLE": str(folder / "bundle"),
        "AICP_STORE": f"sqlite://{folder}/ledger.db",
    }
    url = f"http://127.0.0.1:{port}"
    return url, running(name, folder, arguments, url + "/health/readiness", settings)


def make_bundle(folder: pathlib.Path) -> None:
    """The demo's rules with the whole price map, sealed."""
    shutil.copytree(ROOT / "config" / "bundle" / "demo", folder / "bundle")
    shutil.copy(ROOT / "data" / "models" / "litellm_prices.json", folder / "bundle" / "prices.json")
    limits = folder / "bundle" / "limits.json"
    rules = json.loads(limits.read_text())
    for rule in rules:
        rule["limit"] = 1_000_000_000  # counted all the same, but never reached
    limits.write_text(json.dumps(rules))
    tool = ROOT / "build" / "bench" / "services" / "aicp" / "aicp"
    subprocess.run([tool, "bundle", "seal", "--version", "bench", folder / "bundle"], check=True, stdout=subprocess.DEVNULL)


def measure(url: str, pid: int, key: str, requests: int) -> float:
    """CPU milliseconds of the proxy per request, all on one connection."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    before = cpu_seconds(pid)
    for number in range(requests):
        # Each prompt differs, so that nothing is answered from a cache.
        body = {"model": "gpt-4o-mini", "max_tokens": 16, "messages": [{"role": "user", "content": f"{number} {TEXT}"}]}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{url} answered {answer.status}: {text[:500]!r}")
    used = cpu_seconds(pid) - before
    connection.close()
    return used * 1000 / requests


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200, help="per proxy and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="JSON Lines")
    options = parser.parse_args()
    key = "sk-" + secrets.token_hex(16)
    results: dict[str, list[float]] = {"plain": [], "nothing": [], "handler": []}
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aicp-bench-")))
        make_bundle(folder)
        port = free_port()
        server = str(ROOT / "tests" / "echo" / "echo_server.py")
        health = f"http://127.0.0.1:{port}/health"
        stack.enter_context(running("echo", folder, [server, "--port", str(port)], health, {}))
        proxies = {}
        parts = {"plain": ["database", "guardrails"], "nothing": ["database"], "handler": ["database"]}
        for name, without in parts.items():
            url, process = proxy(name, folder, f"http://127.0.0.1:{port}/v1", key, without)
            proxies[name] = url, stack.enter_context(process)
        for url, pid in proxies.values():
            measure(url, pid, key, 30)
        for _ in range(options.rounds):
            for name, (url, pid) in proxies.items():
                results[name].append(measure(url, pid, key, options.requests))
    report(results, options)
    return 0


def report(results: dict[str, list[float]], options: argparse.Namespace) -> None:
    middle = {name: statistics.median(values) for name, values in results.items()}
    if options.json:
        for name, values in results.items():
            line = {"bench": f"proxy/{name}", "ns": round(middle[name] * 1e6), "rounds_ms": [round(v, 3) for v in values]}
            print(json.dumps(line))
        return
    for name, values in results.items():
        print(f"{name:8} {middle[name]:7.3f} ms CPU a request, median of {min(values):.3f} to {max(values):.3f}")
    for base in ("plain", "nothing"):
        added = middle["handler"] - middle[base]
        print(f"the handler adds {added * 1000:.0f} µs CPU to {base}, {100 * added / middle[base]:.1f} %")


if __name__ == "__main__":
    sys.exit(main())
