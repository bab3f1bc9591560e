"""Draws the table that ./dev demo prints as docs/demo.svg.

    ./dev demo | tee /dev/stderr | python3 scripts/demo_picture.py > docs/demo.svg
"""

import re
import sys
from xml.sax.saxutils import escape

COLUMNS = 150
CHARACTER, LINE, MARGIN = 7.4, 20, 16
COLOURS = [
    (re.compile(r"\ballowed\b"), "#3fb950"),
    (re.compile(r"\brefused \d+\b"), "#f0883e"),
    (re.compile(r"^\d+ of \d+ as expected$"), "#58a6ff"),
    (re.compile(r"NOT AS EXPECTED"), "#f85149"),
]


def spans(line: str) -> str:
    """The line with its verdict in colour."""
    for pattern, colour in COLOURS:
        found = pattern.search(line)
        if found:
            start, end = found.span()
            marked = f'<tspan fill="{colour}">{escape(line[start:end])}</tspan>'
            return escape(line[:start]) + marked + escape(line[end:])
    return escape(line)


def shorten(line: str) -> str:
    return line if len(line) <= COLUMNS else line[: COLUMNS - 1] + "…"


def main() -> None:
    text = sys.stdin.read()
    table = text[text.index("\nrequest ") + 1 :].rstrip().splitlines()
    lines = ["$ ./dev demo", ""] + [shorten(line) for line in table]
    width = int(max(map(len, lines)) * CHARACTER + 2 * MARGIN)
    height = int(len(lines) * LINE + 2 * MARGIN)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">')
    print(f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>')
    print('<g font-family="ui-monospace, DejaVu Sans Mono, monospace" font-size="12.3" fill="#c9d1d9" xml:space="preserve">')
    for i, line in enumerate(lines):
        print(f'<text x="{MARGIN}" y="{MARGIN + (i + 0.7) * LINE:.0f}">{spans(line)}</text>')
    print("</g>\n</svg>")


if __name__ == "__main__":
    main()
