#!/usr/bin/env python3
"""Public symbols. Usage: check_symbols.py umbrella|table [--update] | exports LIBRARY

umbrella  include/aicp/aicp.h includes every other public header
table     tests/abi/symbols.txt names every public function and the version that brought it
exports   the shared library exports what the headers declare, and nothing else
"""

import re
import subprocess
import sys

from csource import ROOT, files, read, without_comments

TABLE = ROOT / "tests/abi/symbols.txt"
UMBRELLA = ROOT / "include/aicp/aicp.h"
DECLARED = re.compile(r"\bAICP_API\b([^;{}]*?)\b(aicp_\w+)\s*\(")


def version():
    return re.search(r'AICP_VERSION_STRING "([^"]+)"', read("include/aicp/export.h")).group(1)


def declared():
    """Public function -> header."""
    found = {}
    for name in files(".h", under=("include/aicp",)):
        text = re.sub(r"(?m)^\s*#(?:[^\n]*\\\n)*[^\n]*$", "", without_comments(read(name), False))
        for match in DECLARED.finditer(text):
            found[match.group(2)] = name
        # A public function without the export macro would be hidden.
        for match in re.finditer(r"(?m)^[A-Za-z_][^;{}()]*?\b(aicp_\w+)\([^;{}]*?;", text):
            if "AICP_API" not in match.group() and not match.group().startswith("typedef"):
                sys.exit(f"{name}: {match.group(1)}() is declared without AICP_API")
    return found


def table():
    rows = {}
    if TABLE.exists():
        for line in TABLE.read_text().splitlines():
            if line and not line.startswith("#"):
                name, since = line.split()
                rows[name] = since
    return rows


def check_table(update):
    now, rows = declared(), table()
    missing, gone = sorted(now.keys() - rows), sorted(rows.keys() - now)
    if update:
        rows.update({name: version() for name in missing})
        for name in gone:
            del rows[name]
        TABLE.write_text(
            "# Public functions and the version that brought them; scripts/lint.sh --fix symbols\n"
            + "".join(f"{name} {rows[name]}\n" for name in sorted(rows)))
    print(f"{len(now)} public functions; "
          f"{len(missing)} {'added to' if update else 'not in'} tests/abi/symbols.txt, "
          f"{len(gone)} {'removed from' if update else 'only in'} it")
    if update:
        return 0
    for name in missing:
        print(f"{now[name]}: {name} is not in tests/abi/symbols.txt")
    for name in gone:
        print(f"tests/abi/symbols.txt: {name} is no longer declared")
    if missing or gone:
        print("scripts/lint.sh --fix symbols brings the table up to date")
    return 1 if missing or gone else 0


def check_umbrella(update):
    names = [n.removeprefix("include/") for n in files(".h", under=("include/aicp",))
             if not n.endswith("/aicp.h")]
    text = ('/**\n * @file aicp.h\n * Everything: includes all public headers of libaicp.\n */\n'
            "#ifndef AICP_AICP_H\n#define AICP_AICP_H\n\n"
            + "".join(f'#include "{name}"\n' for name in sorted(names)) + "\n#endif\n")
    if UMBRELLA.exists() and UMBRELLA.read_text() == text:
        return 0
    if update:
        UMBRELLA.write_text(text)
        return 0
    print("include/aicp/aicp.h: not up to date; scripts/lint.sh --fix headers")
    return 1


def check_exports(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True,
                         text=True).stdout
    exported = set()
    for line in out.splitlines():
        kind, name = line.split()[-2:]
        if kind != "A":
            exported.add(name.split("@")[0])
    now = declared()
    missing = sorted(now.keys() - exported)
    for header in sorted({now[name] for name in missing}):
        names = [name for name in missing if now[name] == header]
        print(f"{header}: {len(names)} declared but not exported: {' '.join(names)}")
    for name in sorted(exported - now.keys()):
        print(f"{library} exports {name}, which no public header declares")
    print(f"{len(now)} functions declared, {len(exported)} exported")
    return 0 if exported == now.keys() else 1


def main():
    arguments = [word for word in sys.argv[1:] if word != "--update"]
    update = len(arguments) != len(sys.argv) - 1
    if arguments == ["umbrella"]:
        return check_umbrella(update)
    if arguments == ["table"]:
        return check_table(update)
    if len(arguments) == 2 and arguments[0] == "exports":
        return check_exports(arguments[1])
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())
