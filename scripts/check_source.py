#!/usr/bin/env python3
"""Rules that a pattern can judge. Usage: check_source.py [banned|doors|arrows|headers|words|tests]...

banned   functions of the C library that are not used here
doors    headers of third-party libraries stay behind the one folder that wraps them
arrows   modules include only what is below them, and only through their front door
headers  public headers: only types and forms that every binding can read
words    unfinished work, paths and hosts of one machine
tests    each module has a pass with failing allocations, each fuzz target has seeds
"""

import re
import sys

from csource import ROOT, files, read, without_comments

C_FOLDERS = ("include", "lib", "services", "tests", "examples", "bindings")
C_SUFFIXES = (".c", ".h", ".cc", ".cpp", ".hpp")

UNSAFE = "strcpy strcat sprintf vsprintf gets strtok atoi atol atof alloca strncpy strncat".split()
HEAP = "malloc calloc realloc free strdup strndup asprintf vasprintf reallocarray".split()

# Header of a third-party library -> folders that may name it (tests may look behind every door).
DOORS = [
    (r"curl/", ("lib/net/",)),
    (r"sodium", ("lib/base/",)),
    (r"sqlite3", ("lib/sql/",)),
    (r"libpq-fe\.h|pg_config|postgres", ("lib/sql/",)),
    (r"pcre2|hs/|hs\.h", ("lib/guardrail/", "services/common/api/validate.c")),
    (r"hiredis", ("lib/ratelimit/",)),
    (r"json-c/|json\.h", ("services/",)),
    (r"yaml\.h", ("services/common/",)),
    (r"microhttpd", ("services/common/",)),
    (r"cjose|jansson", ("services/common/",)),
]

LAYER = {"base": 0, "net": 1, "policy": 2, "ratelimit": 2, "guardrail": 2, "cost": 2, "sql": 2,
         "litellm": 2, "budget": 3, "gate": 4, "services": 5}
# What services may see of the library beside its public headers.
SERVICE_SEES = re.compile(r"lib/(base/\w+|net/net|sql/sql)\.h$")
# Public headers that are not named after their module.
HEADER_MODULE = {"error": "base", "export": "base", "aicp": "services"}

# Spelled in halves, so that this file passes its own rule.
WORDS = [
    (re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b"), "unfinished work"),
    (re.compile(r"(?<![\w.}])/(ro" + r"ot|wo" + r"rk)/"), "path of one machine"),
    (re.compile(r"(index-url|INDEX_URL|GOPROXY|REGISTRY|registry)[\"']?\s*[=:]\s*[\"']?https?://"
                r"(?!pypi\.org|files\.pythonhosted\.org|registry\.npmjs\.org|proxy\.golang\.org)"),
     "package registry of one machine"),
]

problems = []


def report(name, line, rule, text):
    problems.append(f"{name}:{line}: [{rule}] {text}")


def code(name, strings):
    return enumerate(without_comments(read(name), strings).splitlines(), 1)


def includes(name):
    for line, text in code(name, True):
        match = re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', text)
        if match:
            yield line, match.group(1)


def c_files(*folders):
    return files(*C_SUFFIXES, under=folders or C_FOLDERS)


def check_banned():
    unsafe = re.compile(r"(?<![\w.>])(" + "|".join(UNSAFE) + r")\s*\(")
    heap = re.compile(r"(?<![\w.>])(" + "|".join(HEAP) + r")\s*\(")
    for name in c_files():
        # Programs that run at build time are no part of the library.
        in_lib = re.match(r"lib/(?!base/|\w+/tools/)", name)
        for line, text in code(name, False):
            match = unsafe.search(text)
            if match:
                report(name, line, "banned", f"{match.group(1)}() is not used here")
            match = in_lib and heap.search(text)
            if match:
                report(name, line, "banned",
                       f"{match.group(1)}() outside lib/base; use lib/base/alloc.h")


def check_doors():
    for name in c_files():
        if name.startswith("tests/"):
            continue
        for line, header in includes(name):
            for pattern, folders in DOORS:
                if re.match(pattern, header) and not name.startswith(folders):
                    report(name, line, "doors", f"<{header}> belongs to {' or '.join(folders)}")


def module_of(name):
    parts = name.split("/")
    if parts[0] == "lib" and len(parts) > 2:
        return parts[1]
    if name.startswith("include/aicp/"):
        stem = parts[-1].removesuffix(".h")
        return HEADER_MODULE.get(stem, stem.split("_")[0])
    return parts[0]


def check_lib_include(name, line, module, header):
    public = re.match(r"aicp/(\w+)\.h$", header)
    private = re.match(r"lib/(\w+)/(.+)$", header)
    if not public and not private:
        return
    target = module_of("include/" + header) if public else private.group(1)
    if target not in LAYER:
        report(name, line, "arrows", f"{header}: no module {target}; see LAYER in check_source.py")
        return
    if target == module:
        return
    if LAYER[target] >= LAYER[module]:
        report(name, line, "arrows", f"{module} must not see {target} ({header})")
        return
    doors = (f"{target}.h", f"{target}_internal.h")
    if private and target != "base" and private.group(2) not in doors:
        report(name, line, "arrows", f"{header} is private to {target}; use {' or '.join(doors)}")


def check_arrows():
    for name in c_files():
        module = module_of(name)
        for line, header in includes(name):
            if name.startswith(("lib/", "include/")):
                if module not in LAYER:
                    report(name, 1, "arrows", f"no module {module}; see LAYER in check_source.py")
                    break
                if name.startswith("lib/") and header.startswith("services/"):
                    report(name, line, "arrows", f"{module} must not see services ({header})")
                if name.startswith("include/") and not re.match(r"aicp/\w+\.h$|std\w+\.h$", header):
                    report(name, line, "arrows", f"a public header includes {header}")
                check_lib_include(name, line, module, header)
            elif not name.startswith(("tests/unit/", "tests/conformance/", "tests/fuzz/",
                                      "tests/bench/", "tests/integration/")):
                # Services link the static library and build on its lowest layers.
                if name.startswith("services/") and SERVICE_SEES.match(header):
                    continue
                if re.search(r"(^|/)lib/", header):
                    report(name, line, "arrows", f"{name.split('/')[0]} sees only aicp/*.h, not {header}")


HEADER_RULES = [
    (re.compile(r"\blong\b"), "long has no fixed size"),
    (re.compile(r"\b(static|inline)\b"), "no code in public headers"),
    (re.compile(r"\b(bool|_Bool)\s+\w+\["), "no arrays of bool"),
    (re.compile(r"^\s+enum\s+\w+\s+\w+\s*;"), "no enum in a struct; use int32_t"),
    (re.compile(r"^\s+(unsigned|u?int\d*_t|int|bool)\s+\w+\s*:\s*\d+\s*;"), "no bit-fields"),
    (re.compile(r"__attribute__|_Static_assert|_Noreturn|__int128"), "SWIG cannot read this"),
]


def check_headers():
    for name in files(".h", under=("include",)):
        if name.endswith("/export.h"):
            continue
        for line, text in code(name, False):
            for pattern, why in HEADER_RULES:
                if pattern.search(text):
                    report(name, line, "headers", f"{why}: {text.strip()}")


TEXT_SUFFIXES = C_SUFFIXES + (
    ".py", ".pyi", ".sh", ".cmake", ".txt", ".md", ".in", ".i", ".go", ".mod", ".ts", ".tsx",
    ".json", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".sql", ".cedar", ".html", ".lock")


def check_words():
    for name in files():
        plain = "." not in name.rsplit("/", 1)[-1]
        if not plain and not name.endswith(TEXT_SUFFIXES):
            continue
        for line, text in enumerate(read(name).splitlines(), 1):
            for pattern, why in WORDS:
                match = pattern.search(text)
                if match:
                    report(name, line, "words", f"{why}: {match.group()}")


def check_tests():
    modules = sorted({name.split("/")[1] for name in files(".c", under=("lib",))})
    for module in modules:
        tests = files(".c", under=(f"tests/unit/{module}",))
        if not any("test_every_allocation_failing(" in read(name) for name in tests):
            report(f"tests/unit/{module}", 1, "tests", "no test fails each allocation in turn")
    for name in files(".c", under=("tests/fuzz",)):
        match = re.match(r"tests/fuzz/fuzz_(\w+)\.c$", name)
        corpus = match and ROOT / "tests/fuzz/corpus" / match.group(1)
        if corpus and not (corpus.is_dir() and any(corpus.iterdir())):
            report(name, 1, "tests", f"no seeds in {corpus.relative_to(ROOT)}")


RULES = {"banned": check_banned, "doors": check_doors, "arrows": check_arrows,
         "headers": check_headers, "words": check_words, "tests": check_tests}


def main():
    names = sys.argv[1:] or list(RULES)
    unknown = [name for name in names if name not in RULES]
    if unknown:
        sys.exit(f"unknown rule: {', '.join(unknown)}\n{__doc__}")
    for name in names:
        RULES[name]()
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
