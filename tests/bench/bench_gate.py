"""./dev bench gate [--json]: a full check of a 2 KB chat request beside the usual Python parts, step by step, in one run.

Ours: the C program bench_gate (12 policies, 4 limits, all detectors, exact count, price, reservation, settlement).
Peers, each on the same request and the same rules: cedarpy (policy), limits (rate limits, in memory), Presidio's pattern
recognizers (guardrail), tiktoken (tokens), json (parse). CPU time of one thread, median.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PEERS = ["cedarpy==4.12.2", "limits==5.8.0", "presidio-analyzer==2.2.366", "tiktoken==0.14.0"]
TIKTOKEN_NAME = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
RECOGNIZERS = "CreditCard Email Iban Ip Phone UsSsn Crypto Date UsItin UsPassport UsBank UsLicense MedicalLicense Url".split()


def request_text() -> str:
    """A chat request of about 2 KB, with nothing to find in it but an address."""
    paragraph = (
        "Please summarise the following notes for the weekly report. The migration of the billing service is on schedule; "
        "two of the five clusters have moved, and the remaining ones follow on Tuesday. Error rates stayed below 0.2 % and "
        "the median latency went down from 180 to 140 milliseconds. Open points are the retention of audit logs, the new "
        "price list and a review of the access rules for contractors. "
    )
    messages = [
        {"role": "system", "content": "You are a helpful assistant who writes short and exact summaries."},
        {"role": "user", "content": paragraph * 4 + "Send it to reports@example.com."},
    ]
    return json.dumps({"model": "gpt-4o", "messages": messages, "max_tokens": 400, "temperature": 0.2})


def policies() -> str:
    """12 policies as a gateway has them: all are in scope, one permits."""
    texts = ['@id("p0") permit (principal, action == AICP::Action::"chat", resource);']
    for i in range(1, 6):
        texts.append(f'@id("p{i}") forbid (principal in AICP::Team::"team-{i}", action, resource in AICP::Tier::"frontier");')
    for i in range(6, 10):
        texts.append(f'@id("p{i}") forbid (principal, action, resource) when {{ context.input_tokens > {i}00000 }};')
    texts.append('@id("p10") forbid (principal, action, resource) when { context.tools.containsAny(["shell", "exec"]) };')
    texts.append('@id("p11") forbid (principal, action, resource) when { context.tags.contains("blocked") };')
    return "\n".join(texts)


def limits() -> list[dict]:
    big = 1_000_000_000
    return [
        {"id": "key-rpm", "kind": "requests", "limit": big, "window": "1m", "per": ["key"]},
        {"id": "team-rpm", "kind": "requests", "limit": big, "window": "1m", "per": ["team"]},
        {"id": "key-tpm", "kind": "tokens", "limit": big * 1000, "window": "1m", "per": ["key"]},
        {"id": "key-parallel", "kind": "concurrency", "limit": 1000, "per": ["key"]},
    ]


def make_bundle(folder: pathlib.Path) -> None:
    (folder / "policies.cedar").write_text(policies())
    (folder / "limits.json").write_text(json.dumps(limits()))
    profile = {"name": "all", "pii": {"action": "mask"}}
    (folder / "guardrails.json").write_text(json.dumps({"default": "all", "profiles": [profile]}))
    (folder / "accounts.json").write_text(json.dumps([{"id": "team", "per": ["team"], "hard": "1000000", "duration": "1mo"}]))
    shutil.copy(ROOT / "data/models/litellm_prices.json", folder / "prices.json")
    tool = ROOT / "build/bench/services/aicp/aicp"
    subprocess.run([tool, "bundle", "seal", "--version", "bench", folder], check=True, stdout=subprocess.DEVNULL)


def ours(folder: pathlib.Path, request: pathlib.Path) -> dict[str, dict]:
    program = ROOT / "build/bench/tests/bench_gate"
    done = subprocess.run([program, folder, request], check=True, capture_output=True, text=True)
    rows = (json.loads(line) for line in done.stdout.splitlines())
    return {row["bench"].removeprefix("gate/"): row for row in rows}


# ---- peers: this file again, in an environment of their own ----


def median_ns(function, least: int = 200) -> int:
    for _ in range(20):
        function()
    times = []
    for _ in range(least):
        start = time.process_time_ns()
        function()
        times.append(time.process_time_ns() - start)
    return int(statistics.median(times))


def peer_policy(body: dict):
    import cedarpy

    text = policies()
    entities = [
        {"uid": {"type": "AICP::Key", "id": "bench-key"}, "attrs": {}, "parents": [{"type": "AICP::Team", "id": "bench"}]},
        {"uid": {"type": "AICP::Model", "id": "gpt-4o"}, "attrs": {}, "parents": [{"type": "AICP::Provider", "id": "openai"}]},
    ]
    request = {
        "principal": 'AICP::Key::"bench-key"',
        "action": 'AICP::Action::"chat"',
        "resource": 'AICP::Model::"gpt-4o"',
        "context": {"input_tokens": 500, "tools": [], "tags": [], "stream": False},
    }
    assert cedarpy.is_authorized(request, text, entities).allowed
    return lambda: cedarpy.is_authorized(request, text, entities)


def peer_limits(body: dict):
    import limits as library

    store = library.storage.MemoryStorage()
    window = library.strategies.MovingWindowRateLimiter(store)
    counter = library.strategies.FixedWindowRateLimiter(store)
    big = library.parse("1000000000/minute")

    def take():
        counter.hit(big, "key", "bench-key")
        counter.hit(big, "team", "bench")
        counter.hit(big, "tokens", "bench-key", cost=900)
        counter.hit(big, "parallel", "bench-key")

    del window
    return take


def peer_guardrail(body: dict):
    from presidio_analyzer import predefined_recognizers as found

    recognizers = [getattr(found, name + "Recognizer")() for name in RECOGNIZERS if hasattr(found, name + "Recognizer")]
    texts = [message["content"] for message in body["messages"]]

    def scan():
        for text in texts:
            for recognizer in recognizers:
                recognizer.analyze(text, recognizer.supported_entities, None)

    return scan


def peer_tokens(body: dict):
    import tiktoken

    encoding = tiktoken.get_encoding("o200k_base")
    return lambda: 3 + sum(3 + len(encoding.encode(v)) for m in body["messages"] for v in m.values())


def run_peers(request: str) -> None:
    text = pathlib.Path(request).read_text()
    body = json.loads(text)
    rows = {"parse": median_ns(lambda: json.loads(text))}
    for name, make in [("policy", peer_policy), ("limits", peer_limits), ("guardrail", peer_guardrail), ("tokens", peer_tokens)]:
        rows[name] = median_ns(make(body))
    print(json.dumps(rows))


def peers(request: pathlib.Path) -> dict[str, int]:
    """Runs this file with --peers in an environment that has the peers; made on first use."""
    folder = ROOT / ".dev/bench"
    python = folder / "bin/python"
    mark = folder / "peers"
    if not mark.exists() or mark.read_text() != " ".join(PEERS):
        print("bench: installing the peers", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PEERS], check=True)
        mark.write_text(" ".join(PEERS))
    cache = folder / "vocabulary"
    cache.mkdir(exist_ok=True)
    shutil.copy(ROOT / "data/tokenizer/o200k_base.tiktoken", cache / hashlib.sha1(TIKTOKEN_NAME.encode()).hexdigest())
    env = {**os.environ, "TIKTOKEN_CACHE_DIR": str(cache)}
    done = subprocess.run([python, __file__, "--peers", request], check=True, capture_output=True, text=True, env=env)
    return json.loads(done.stdout.splitlines()[-1])


# ---- the table ----


def print_table(mine: dict[str, dict], theirs: dict[str, int]) -> None:
    print(f"{'step':<12}{'libaicp µs':>12}{'p99':>9}{'Python µs':>12}{'ratio':>9}  peer")
    names = {"policy": "cedarpy", "limits": "limits", "guardrail": "Presidio patterns", "tokens": "tiktoken", "parse": "json"}
    for step, row in mine.items():
        peer = theirs.get(step)
        other = f"{peer / 1000:>12.1f}{peer / row['ns']:>8.0f}×" if peer else " " * 21
        print(f"{step:<12}{row['ns'] / 1000:>12.2f}{row['p99_ns'] / 1000:>9.1f}{other}  {names.get(step, '')}")
    both = sum(theirs.values())
    total = mine["check"]["ns"]
    print(f"\nwhole check {total / 1000:.1f} µs; the Python parts together {both / 1000:.0f} µs: {both / total:.0f} × as much")
    print(f"heap allocations per check and settlement: {mine['check']['allocs']}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="JSON Lines")
    parser.add_argument("--peers", metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peers:
        run_peers(arguments.peers)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary, "bundle")
        folder.mkdir()
        make_bundle(folder)
        request = pathlib.Path(temporary, "request.json")
        request.write_text(request_text())
        mine = ours(folder, request)
        theirs = peers(request)
    if arguments.json:
        for step, row in mine.items():
            print(json.dumps({**row, **({"peer": {"python": theirs[step]}} if step in theirs else {})}))
    else:
        print(f"request of {len(request_text())} bytes\n")
        print_table(mine, theirs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
