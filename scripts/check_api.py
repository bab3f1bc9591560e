#!/usr/bin/env python3
"""The public headers speak one language: the rules of docs/style.md that need the declarations.

Each finding names the header, the line and the rule:
error    a call that returns aicp_status takes `aicp_error *err` last and is AICP_MUST_CHECK
output   handles come through `T **out`, bytes through `aicp_buf *out`
text     `const char *x` is followed by its length, or the comment says NUL-terminated
free     each handle that is made has a `void T_free(T *)`, each `_ref` is `T *T_ref(T *)`
thread   the comment of each handle has a thread word (immutable, synchronised, confined)
options  `T_options` begins with `size_t size`, has T_OPTIONS_INIT and T_options_init(options, size)
"""

import re
import sys

from csource import files, read, without_comments

THREAD = re.compile(r"\*(immutable|synchronised|confined)\*", re.IGNORECASE)
FUNCTION = re.compile(r"\bAICP_API\b([^;{}()]*?)\b(aicp_\w+)\s*\(([^;{}]*?)\)\s*(?:AICP_NONNULL\([^)]*\)\s*)?;")
# Getters of a kept status do not fail themselves.
STATUS_GETTER = re.compile(r"_(error|status)(_\w+)?$")

findings = []


def report(name, line, rule, text):
    findings.append(f"{name}:{line}: [{rule}] {text}")


def comment_before(text, start):
    """The doc comment above a declaration, through the declarations that share it."""
    above = text[:start]
    open_at, close_at = above.rfind("/**"), above.rfind("*/")
    return above[open_at:close_at] if 0 <= open_at < close_at else ""


def split_parameters(text):
    text = re.sub(r"(?m)^\s*#.*$", "", text)
    words = [" ".join(word.split()) for word in text.split(",")]
    return [] if words in ([""], ["void"]) else words


def check_parameters(name, line, function, parameters, comment):
    for place, parameter in enumerate(parameters):
        match = re.match(r"(aicp_\w+) \*\*(\w+)$", parameter)
        if match and match.group(2) != "out":
            report(name, line, "output", f"{function}(): {parameter} is not called out")
        match = re.match(r"aicp_buf \*(\w+)$", parameter)
        if match and match.group(1) != "out" and function != "aicp_buf_free":
            report(name, line, "output", f"{function}(): {parameter} is not called out")
        match = re.match(r"const char \*(\w+)$", parameter)
        if match:
            text = match.group(1)
            following = parameters[place + 1] if place + 1 < len(parameters) else ""
            wanted = ("size_t len",) if text == "data" else (f"size_t {text}_len",)
            if following not in wanted and "NUL-terminated" not in comment:
                report(name, line, "text", f"{function}(): {parameter} has no {wanted[0]} behind it "
                                           "and its comment does not say NUL-terminated")


def check_functions(name, text, source, functions):
    header_comment = source[:source.find("*/")]
    for match in FUNCTION.finditer(text):
        result, function, parameters = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        parameters = split_parameters(parameters)
        result = " ".join(result.split())
        functions[function] = (result.replace("AICP_MUST_CHECK", "").strip(), parameters, name, line)
        offset = sum(len(row) + 1 for row in source.splitlines()[:line - 1])
        comment = comment_before(source, offset) + header_comment
        fails = parameters[-1:] == ["aicp_error *err"]
        if "aicp_status" in result.split() and (fails or not STATUS_GETTER.search(function)):
            if not fails:
                report(name, line, "error", f"{function}() lacks aicp_error *err as last parameter")
            if "AICP_MUST_CHECK" not in result:
                report(name, line, "error", f"{function}() lacks AICP_MUST_CHECK")
        check_parameters(name, line, function, parameters, comment)


def check_handles(name, text, source, functions):
    for match in re.finditer(r"(?m)^typedef struct (aicp_\w+) \1;", text):
        handle = match.group(1)
        line = text.count("\n", 0, match.start()) + 1
        offset = sum(len(row) + 1 for row in source.splitlines()[:line - 1])
        comment = comment_before(source, offset)
        if not THREAD.search(comment):
            report(name, line, "thread", f"the comment of {handle} has no thread word")
        made = any(parameter == f"{handle} **out"
                   for _, parameters, _, _ in functions.values() for parameter in parameters)
        if made and functions.get(f"{handle}_free", ("", []))[:2][0] != "void":
            report(name, line, "free", f"void {handle}_free({handle} *) is missing")
        ref = functions.get(f"{handle}_ref")
        if ref and (ref[0] != f"{handle} *" or not ref[1][0].startswith(f"{handle} *")):
            report(ref[2], ref[3], "free", f"{handle}_ref() is not {handle} *({handle} *)")


def check_options(name, text, source, functions):
    for match in re.finditer(r"(?s)typedef struct (aicp_\w+_options) \{(.*?)\n\} \1;", text):
        struct, body = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        if not re.match(r"\s*size_t size;", body):
            report(name, line, "options", f"{struct} does not begin with size_t size")
        if f"#define {struct.upper()}_INIT" not in source:
            report(name, line, "options", f"{struct.upper()}_INIT is missing")
        if functions.get(f"{struct}_init", ("", []))[1] != [f"{struct} *options", "size_t size"]:
            report(name, line, "options", f"{struct}_init({struct} *options, size_t size) is missing")


def main():
    functions = {}
    texts = {}
    for name in files(".h", under=("include/aicp",)):
        source = read(name)
        texts[name] = (without_comments(source, False), source)
        check_functions(name, *texts[name], functions)
    for name, (text, source) in texts.items():
        check_handles(name, text, source, functions)
        check_options(name, text, source, functions)
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
