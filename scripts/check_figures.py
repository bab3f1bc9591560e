#!/usr/bin/env python3
"""Reports (never fails) what goes past the guide figures of docs/style.md: lines of a function and
of a file, width of a line, nesting, parameters."""

import re

from csource import files, read, without_comments

FUNCTION, FILE, WIDTH, NESTING, PARAMETERS = 70, 800, 100, 4, 6
SIGNATURE = re.compile(r"\b(\w+)\(([^{}();]*(?:\([^()]*\)[^{}();]*)*)\)\s*(?:__attribute__\s*\(.*\)\s*)?\{$",
                       re.DOTALL)


def functions(lines):
    """(name, parameters, first line, lines, deepest nesting) of each function of formatted C."""
    start = None
    for number, text in enumerate(lines):
        if start is None and text.endswith("{") and not text.startswith((" ", "}", "#")):
            head = number
            while head > 0 and lines[head - 1].strip() and not lines[head - 1].startswith(
                    ("#", "}")) and not lines[head - 1].rstrip().endswith((";", "{", "}")):
                head -= 1
            match = SIGNATURE.search("\n".join(lines[head:number + 1]))
            if text.startswith(")"):
                while head > 0 and not re.match(r"\w", lines[head]):
                    head -= 1
                match = SIGNATURE.search("\n".join(lines[head:number + 1]))
            if match:
                start, name, parameters = head, match.group(1), match.group(2)
                depth = deepest = 0
                stack = []
        elif start is not None and text.startswith("}"):
            count = 0 if parameters.strip() in ("", "void") else parameters.count(",") + 1
            yield name, count, start + 1, number - start + 1, deepest
            start = None
        elif start is not None:
            block = text.rstrip().endswith("{") and not re.search(r"[=,({]\s*\{$|\)\{$", text.rstrip())
            for place, char in enumerate(text):
                if char == "{":
                    counts = block and place == len(text.rstrip()) - 1
                    stack.append(counts)
                    depth += counts
                    deepest = max(deepest, depth)
                elif char == "}" and stack:
                    depth -= stack.pop()


def main():
    found = total = 0
    sizes = []
    for name in files(".c", ".h", under=("include", "lib", "services", "tests", "examples", "bindings")):
        text = read(name)
        lines = text.splitlines()
        total += len(lines)
        notes = []
        if len(lines) > FILE:
            notes.append((1, f"file has {len(lines)} lines (guide {FILE})"))
        notes += [(n, f"line has {len(line)} columns (guide {WIDTH})")
                  for n, line in enumerate(lines, 1) if len(line) > WIDTH]
        for function, parameters, line, length, nesting in functions(
                without_comments(text, False).splitlines()):
            sizes.append(length)
            if length > FUNCTION:
                notes.append((line, f"{function}() has {length} lines (guide {FUNCTION})"))
            if nesting > NESTING:
                notes.append((line, f"{function}() nests {nesting} deep (guide {NESTING})"))
            if parameters > PARAMETERS:
                notes.append((line, f"{function}() has {parameters} parameters (guide {PARAMETERS})"))
        for line, note in sorted(notes):
            print(f"{name}:{line}: {note}")
        found += len(notes)
    sizes.sort()
    if sizes:
        print(f"{total} lines of C, {len(sizes)} functions: median {sizes[len(sizes) // 2]} lines, "
              f"90 % {sizes[len(sizes) * 9 // 10]}, longest {sizes[-1]}; {found} notes")


if __name__ == "__main__":
    main()
