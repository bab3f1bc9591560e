"""What the source checks share: which files belong to the project, and C text without comments."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Data of others and generated files are not judged.
FOREIGN = ("data/", "tests/data/", "tests/fuzz/corpus/", "tests/abi/libaicp.so.0.abi",
           "bindings/go/internal/capi/aicp_wrap.c")

TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL
)


def files(*suffixes, under=()):
    """Files known to git (new ones too) with one of the suffixes, below one of the folders."""
    out = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *under],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()
    return [
        name for name in sorted(set(out))
        if not name.startswith(FOREIGN)
        and (not suffixes or name.endswith(suffixes))
        and (ROOT / name).is_file() and not (ROOT / name).is_symlink()
    ]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def without_comments(text, strings=True):
    """Comments become blanks, line numbers stay; with strings=False literals are emptied too."""
    def blank(match):
        token = match.group()
        if token[0] == "/":
            return "\n" * token.count("\n") or " "
        return token if strings else token[0] * 2
    return TOKEN.sub(blank, text)
