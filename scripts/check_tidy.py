#!/usr/bin/env python3
"""clang-tidy over the C files of a compile database. Usage: check_tidy.py [--fast] [-j N] [FILE]...

Files that passed are remembered under build/tidy by a hash of what the compiler sees (sources,
headers, comments, configuration), so that a second run judges only what changed. --fast leaves the
path-sensitive analyzer out.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time

from csource import ROOT

# Criterion's macros and fuzz drivers are judged by the compilers' warnings alone.
FOLDERS = ("lib/", "services/", "examples/")


def entries(database, wanted):
    seen = {}
    for entry in json.loads(database.read_text()):
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
        if path.endswith(".c") and path not in seen:
            if path in wanted if wanted else path.startswith(FOLDERS):
                seen[path] = entry
    return sorted(seen.items())


def fingerprint(entry, checks):
    command = entry.get("arguments") or shlex.split(entry["command"])
    out = []
    skip = False
    for word in command[1:]:
        if skip or word == "-o":
            skip = not skip
            continue
        if word not in ("-c",) and not word.startswith("-Wp,"):
            out.append(word)
    run = subprocess.run(["clang", "-E", "-C", "-w", *out], cwd=entry["directory"],
                         capture_output=True)
    if run.returncode != 0:
        return None
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    digest.update(checks.encode())
    # Headers of the system change the analysis too, but their line markers hold absolute paths.
    digest.update(re.sub(rb'(?m)^# \d+ "[^"\n]*".*$', b"", run.stdout))
    return digest.hexdigest()


def judge(path, entry, database, checks, cache):
    began = time.monotonic()
    key = fingerprint(entry, checks)
    if key and (cache / key).exists():
        return path, 0, "", 0.0
    command = ["clang-tidy", "--quiet", "--extra-arg=-D__clang_analyzer__", "-p",
               str(database.parent), path]
    if checks:
        command.insert(1, f"--checks={checks}")
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if run.returncode == 0 and key:
        (cache / key).touch()
    text = run.stdout + "".join(
        line + "\n" for line in run.stderr.splitlines()
        if "warnings generated" not in line and "warning generated" not in line
        and not line.startswith(("Suppressed ", "Use -header-filter")))
    return path, run.returncode, text.replace(f"{ROOT}/", ""), time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("-j", "--jobs", type=int, default=1)
    parser.add_argument("--build", default="build/debug")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    database = ROOT / options.build / "compile_commands.json"
    if not database.exists():
        sys.exit(f"{database.relative_to(ROOT)}: missing; run cmake --preset debug first")
    cache = ROOT / "build" / "tidy"
    cache.mkdir(parents=True, exist_ok=True)
    checks = "-clang-analyzer-*,-misc-unused-parameters" if options.fast else ""
    began = time.monotonic()
    failed = judged = 0
    printed = set()
    slow = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = [pool.submit(judge, path, entry, database, checks, cache)
                for path, entry in entries(database, set(options.files))]
        for job in concurrent.futures.as_completed(jobs):
            path, code, text, seconds = job.result()
            judged += seconds > 0
            slow.append((seconds, path))
            if code:
                failed += 1
                # A finding in a header comes once, however many files include it.
                for finding in re.split(r"(?m)^(?=\S+:\d+:\d+: (?:error|warning): )", text):
                    if finding.strip() and finding not in printed:
                        printed.add(finding)
                        rows = finding.rstrip().splitlines()
                        more = [f"  … {len(rows) - 16} lines more"] if len(rows) > 16 else []
                        print("\n".join(rows[:4] + (rows[4:] if not more else more + rows[-12:])),
                              flush=True)
                if not text.strip():
                    print(f"{path}: clang-tidy failed ({code})", flush=True)
    slow.sort(reverse=True)
    worst = f", slowest {slow[0][1]} {slow[0][0]:.1f} s" if judged else ""
    print(f"clang-tidy: {len(jobs)} files, {judged} judged anew, {failed} failed, "
          f"{time.monotonic() - began:.0f} s{worst}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
