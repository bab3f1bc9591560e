"""The policy engine on five workloads, and with --peers the engines in Rust and Go on the same.

    ./dev bench policy [--peers] [--only b-scoped-1k]... [--json]

Each engine (bench_policy.c, peers/policy-rust, peers/policy-go) reads one workload in a process of its own, one after the
other, and all must give the same decisions, for the first four those of expected.json. The peers are built once per
machine with pinned versions, the Rust one for some minutes.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PEERS = ROOT / "tests/bench/peers"
OURS = "libaicp"
NAMES = ("a-control-plane", "b-scoped-1k", "c-templates-10k", "d-deep-10k", "e-unscoped-1k")


def write_unscoped(folder: pathlib.Path) -> None:
    """1,000 policies whose heads say nothing, so that every request has to look at each of their conditions."""
    shapes = (
        'permit (principal, action, resource) when {{ principal.team == "t{n}" && resource.level < {low} }};',
        'permit (principal, action, resource) when {{ resource.labels.contains("l{n}") }} unless {{ context.hour < {low} }};',
        'permit (principal, action, resource) when {{ context has path && context.path like "/svc{n}/*" }};',
        'permit (principal, action, resource) when {{ context.source.isInRange(ip("10.{n}.0.0/16")) && principal.level > {low} }};',
        'forbid (principal, action, resource) when {{ principal.team == "t{n}" && context.hour * 2 > {high} }};',
    )
    policies = [shapes[i % 5].format(n=i // 5, low=i % 7, high=30 + i % 17) for i in range(1000)]
    users = [
        {"uid": {"type": "User", "id": f"u{i}"}, "attrs": {"team": f"t{i * 7 % 400}", "level": i % 10}, "parents": []}
        for i in range(100)
    ]
    docs = [
        {"uid": {"type": "Doc", "id": f"d{i}"}, "attrs": {"level": i % 9, "labels": [f"l{i * 3}", f"l{i * 5 + 1}"]}, "parents": []}
        for i in range(100)
    ]
    requests = [
        {
            "principal": {"type": "User", "id": f"u{i * 37 % 100}"},
            "action": {"type": "Action", "id": ("read", "write")[i % 2]},
            "resource": {"type": "Doc", "id": f"d{i * 53 % 100}"},
            "context": {
                "hour": i % 24,
                "source": {"__extn": {"fn": "ip", "arg": f"10.{i * 11 % 256}.0.{i % 200}"}},
                **({"path": f"/svc{i * 3}/v1"} if i % 3 else {}),
            },
        }
        for i in range(200)
    ]
    folder.mkdir()
    (folder / "policies.cedar").write_text("\n".join(policies) + "\n")
    (folder / "entities.json").write_text(json.dumps(users + docs))
    (folder / "requests.json").write_text(json.dumps(requests))


def write_workloads(folder: pathlib.Path) -> None:
    with tarfile.open(ROOT / "tests/data/policy/workloads.tar.gz") as archive:
        archive.extractall(folder)
    write_unscoped(folder / "e-unscoped-1k")


def build_peers() -> dict[str, pathlib.Path]:
    cache = pathlib.Path(os.environ["CACHE"]) / "bench-policy"
    cache.mkdir(parents=True, exist_ok=True)
    print("bench: building the peers", file=sys.stderr)
    subprocess.run(
        ["nice", "cargo", "build", "--quiet", "--release", "--locked", "--jobs", "1"],
        cwd=PEERS / "policy-rust", env={**os.environ, "CARGO_TARGET_DIR": str(cache / "rust")}, check=True)
    subprocess.run(["go", "build", "-o", str(cache / "policy-go"), "."], cwd=PEERS / "policy-go", check=True)
    return {"cedar-policy": cache / "rust/release/policy-peer", "cedar-go": cache / "policy-go"}


def run(program: pathlib.Path, folder: pathlib.Path) -> dict[str, dict]:
    """What a program measured, by the name of each thing."""
    done = subprocess.run([program, folder], check=True, stdout=subprocess.PIPE, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line.pop("what"): line for line in lines}


def check_answers(folder: pathlib.Path, results: dict[str, dict]) -> None:
    expected = results[OURS]["answers"]["decisions"]
    if (folder / "expected.json").exists():
        answers = json.loads((folder / "expected.json").read_text())
        expected = "".join("A" if answer["decision"] == "allow" else "D" for answer in answers)
    for engine, result in results.items():
        if result.pop("answers")["decisions"] != expected:
            sys.exit(f"bench: {engine} decides {folder.name} in another way")


def print_json(workload: str, results: dict[str, dict]) -> None:
    for what, line in results[OURS].items():
        figure = next(iter(line))  # ns, mb_s or peak_kb
        peers = {engine: result[what][figure] for engine, result in results.items() if engine != OURS and what in result}
        print(json.dumps({"bench": f"policy/{workload}/{what}", **line, **({"peer": peers} if peers else {})}))


def cell(result: dict[str, dict], what: str, figure: str, scale: float, digits: int) -> str:
    return f"{result[what][figure] / scale:,.{digits}f}" if what in result else ""


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    print(f"\n{title}\n\n| workload | {' | '.join(columns)} |\n|{' --- |' * (len(columns) + 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def print_tables(measured: dict[str, dict[str, dict]], engines: list[str]) -> None:
    columns = [OURS, "p99", "decision only", "without index", "filled, then authorized"]
    columns += [f"{engine}{what}" for engine in engines[1:] for what in ("", " p99")]
    kinds = (("authorize", "ns"), ("authorize", "p99_ns"), ("decide", "ns"), ("authorize-no-index", "ns"), ("fill-and-authorize", "ns"))
    rows = [
        [
            name,
            *(cell(r[OURS], what, figure, 1e3, 2) for what, figure in kinds),
            *(cell(r[engine], "authorize", figure, 1e3, 1) for engine in engines[1:] for figure in ("ns", "p99_ns")),
        ]
        for name, r in measured.items()
    ]
    print_table("µs of processor time to authorize a request", columns, rows)
    loads = (("parse", "parse MB/s", "mb_s", 1, 0), ("entities", "entities MB/s", "mb_s", 1, 0), ("memory", "peak MB", "peak_kb", 1024, 1))
    columns = [f"{engine} {title}" for _, title, *_ in loads for engine in engines]
    rows = [
        [name, *(cell(r[engine], what, *how) for what, _, *how in loads for engine in engines)]
        for name, r in measured.items()
    ]
    print_table("loading, by processor time, and memory", columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench policy")
    parser.add_argument("--peers", action="store_true", help="also run cedar-policy (Rust) and cedar-go")
    parser.add_argument("--only", action="append", choices=NAMES, metavar="WORKLOAD", help=", ".join(NAMES))
    parser.add_argument("--json", action="store_true", help="JSON Lines instead of tables")
    arguments = parser.parse_args()
    engines = {OURS: ROOT / "build/bench/tests/bench_policy", **(build_peers() if arguments.peers else {})}
    measured = {}
    with tempfile.TemporaryDirectory(prefix="aicp-bench-") as temporary:
        write_workloads(pathlib.Path(temporary))
        for name in arguments.only or NAMES:
            folder = pathlib.Path(temporary, name)
            measured[name] = {engine: run(program, folder) for engine, program in engines.items()}
            check_answers(folder, measured[name])
            if arguments.json:
                print_json(name, measured[name])
    if not arguments.json:
        print_tables(measured, list(engines))


if __name__ == "__main__":
    main()
