"""The extension as a whole: nothing is missing, nothing crashes, nothing leaks."""

import inspect
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import aicp
from aicp import _aicp as c

ROOT = pathlib.Path(__file__).resolve().parents[3]
HEADERS = sorted((ROOT / "include" / "aicp").glob("*.h"))
LAYER = pathlib.Path(aicp.__file__).parent

# Public functions that Python has in another form.
OTHER_FORM = {
    r"aicp_\w+_free": "the destructor of the object",
    r"aicp_\w+_ref": "Python counts references itself",
    r"aicp_\w+_(options|request|result|account|usage)?_?init": "dictionaries start with defaults",
    r"aicp_error_clear": "errors are exceptions",
    r"aicp_policy_found_json": "a lookup returns the JSON",
    r"aicp_redis_leases_\w+": "a gate opens it by its rates URL",
    r"aicp_tokenizer_encode_into": "aicp_tokenizer_encode makes room itself",
}
# Functions that only errors.py needs, or that are the same for every Python user.
UNUSED_BY_LAYER = {
    "aicp_status_text": "the text comes with the exception",
}
# Members of structures that Python neither gives nor gets.
NOT_FOR_PYTHON = {"size", "allocator", "clock", "log", "log_user", "source", "user", "trace"}


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r"//[^\n]*", " ", text)


def functions():
    found = {}
    for header in HEADERS:
        text = without_comments(header.read_text())
        text = re.sub(r"^\s*#.*(?:\\\n.*)*$", "", text, flags=re.M)
        for match in re.finditer(r"AICP_API[^;]*?\b(aicp_\w+)\(([^;]*?)\)\s*(?:AICP_\w+\([^)]*\))?\s*;", text):
            found[match.group(1)] = match.group(2)
    return found


def in_other_form(name):
    return any(re.fullmatch(pattern, name) for pattern in OTHER_FORM)


def test_the_headers_are_read_right():
    found = functions()
    assert len(found) > 150
    for name in ("aicp_version", "aicp_gate_check", "aicp_limit_rules_count", "aicp_ledger_reserve"):
        assert name in found


def test_no_public_function_is_missing():
    missing = [n for n in functions() if not in_other_form(n) and not hasattr(c, n)]
    assert not missing, "not in the extension: " + ", ".join(sorted(missing))


def test_every_function_is_used_by_the_layer():
    source = "".join(path.read_text() for path in LAYER.rglob("*.py"))
    unused = [
        n
        for n in functions()
        if not in_other_form(n) and n not in UNUSED_BY_LAYER and not re.search(rf"\b{n}\b", source)
    ]
    assert not unused, "no way to it from Python: " + ", ".join(sorted(unused))


def test_every_constant_is_there():
    names = set()
    for header in HEADERS:
        text = without_comments(header.read_text())
        names |= set(re.findall(r"^#define (AICP_[A-Z0-9_]+)[ \t]+[^\s\\]", text, re.M))
        for body in re.findall(r"enum\s*\{([^{}#]*)\}", text):
            names |= set(re.findall(r"\b(AICP_[A-Z0-9_]+)\b(?=\s*[=,}]|\s*$)", body))
    ignored = re.compile(r".*_(INIT|H)$|AICP_(API|(BEGIN|END)_DECL|MUST_CHECK|VERSION_\w+|DEPRECATED)")
    missing = [n for n in names if not ignored.fullmatch(n) and not hasattr(c, n)]
    assert not missing, sorted(missing)
    assert c.AICP_ERR_PARSE == 3


def structures():
    for header in HEADERS:
        text = without_comments(header.read_text())
        text = re.sub(r"#ifndef SWIG(.*?)(?:#else.*?)?#endif", r"\1", text, flags=re.S)
        for body, name in re.findall(r"typedef struct \w+ \{(.*?)\}\s*(\w+);", text, re.S):
            yield name, re.findall(r"(\w+)(?:\[[^\]]*\])?\s*;", body)


def test_the_tables_of_structures_have_every_member():
    tables = (ROOT / "bindings/python/records.i").read_text()
    checked = 0
    for name, members in structures():
        table = re.search(rf"TABLE\({name}\) = \{{(.*?)FEND", tables, re.S)
        if table is None:
            continue
        checked += 1
        has = set(re.findall(r"F\w?\(T, (\w+)", table.group(1)))
        for member in members:
            partner = re.sub(r"_(len|count)$", "", member)
            if member in NOT_FOR_PYTHON or member.startswith("reserved"):
                continue
            assert member in has or (partner != member and partner in has), f"{name}.{member}"
    assert checked > 20


def test_every_pair_of_text_and_length_is_known_to_the_typemaps():
    typemaps = (ROOT / "bindings/python/python.i").read_text()
    known = set(re.findall(r"AICP_TEXT\((\w+), (\w+)\)", typemaps))
    for name, parameters in functions().items():
        flat = re.sub(r"\s+", " ", parameters)
        for data, length in re.findall(r"const char \*(\w+), size_t (\w*len)\b", flat):
            assert (data, length) in known, f"{name}: {data}, {length}"


# -- nothing crashes -------------------------------------------------------------------------------

ABUSE = """
    import faulthandler, os, random, sys
    faulthandler.enable()
    import aicp
    from aicp import _aicp as c

    POLICY = 'permit(principal, action, resource);'
    handles = [
        c.aicp_policy_set_parse(POLICY, None),
        c.aicp_policy_entities_parse('[]', None),
        c.aicp_policy_request_new(),
        c.aicp_policy_response_new(),
        c.aicp_tokenizer_open('cl100k_base'),
        c.aicp_price_table_parse('{"m": {"input_cost_per_token": 1e-6}}', None),
        c.aicp_limit_rules_parse('[]', None),
        c.aicp_limiter_new(None),
        c.aicp_limit_ticket(),
        c.aicp_guard_profile_parse('{}', None),
        c.aicp_guard_result_new(None),
        c.aicp_guard_session_new(None),
        c.aicp_budget_window_parse('1mo', None),
        c.aicp_ledger_open('sqlite::memory:', None),
        c.aicp_rate_store_open('sqlite::memory:'),
        c.aicp_token_profile_find('gpt-4o'),
    ]
    handles.append(c.aicp_price_table_find(handles[5], 'm'))
    os.chdir(sys.argv[1])
    os.makedirs('bundle', exist_ok=True)
    with open('bundle/policies.cedar', 'w') as file:
        file.write(POLICY)
    c.aicp_bundle_seal('bundle', '1')
    gate = c.aicp_gate_open({'bundle_path': 'bundle'})
    request = c.aicp_gate_request_new(gate)
    c.aicp_gate_request_set_body(request, '{"model": "m", "messages": []}')
    decision = c.aicp_gate_check(gate, request, 10**9)
    handles += [c.aicp_bundle_open('bundle'), gate, request, decision, c.aicp_gate_stream_open(gate, decision)]
    handles += [c.aicp_litellm_open('http://127.0.0.1:9', 'k', {'timeout_ms': 1}), c.aicp_litellm_reply_new()]
    junk = [None, 0, -1, 1, 2**31, 2**63, -2**63 - 1, 2**70, 1.5, float('nan'), True, '', 'x',
            'a' + chr(0) + 'b', chr(0xD800), b'', b'\\xff', bytearray(b'y'), memoryview(b'z'), [], [1],
            ['a', None], (), (1, 2), ((0, 'x'),), {}, {'size': 1}, {'flags': -1}, {1: 2}, object(), type,
            'x' * 100_000, '{"a": [' * 50, '[]', '{}']
    # These keep pointers into their arguments; the layer holds those (CostRequest), raw calls cannot.
    borrow = {name for name in dir(c) if name.startswith('aicp_cost_request_')}
    # These wait for as long as they are told.
    wait = {'aicp_ledger_flush', 'aicp_ledger_close', 'aicp_limiter_flush'}
    names = [n for n in dir(c) if n.startswith('aicp_') and callable(getattr(c, n))
             and not isinstance(getattr(c, n), type) and n not in borrow and n not in wait]
    assert len(names) > 100, len(names)
"""


def run_abuse(tmp_path, code, timeout=300):
    script = textwrap.dedent(ABUSE) + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def test_every_function_refuses_what_makes_no_sense(tmp_path):
    run_abuse(
        tmp_path,
        """
        for name in names:
            function = getattr(c, name)
            for count in range(0, 9):
                for value in (None, 0, -1, 'x', object(), 2**70, []):
                    print(name, count, type(value).__name__, file=sys.stderr, flush=False)
                    try:
                        function(*[value] * count)
                    except Exception:
                        continue
        os._exit(0)
        """,
    )


def test_handles_are_never_taken_for_others(tmp_path):
    run_abuse(
        tmp_path,
        """
        for name in names:
            function = getattr(c, name)
            for handle in handles:
                for count in range(1, 5):
                    try:
                        function(*[handle] * count)
                    except Exception:
                        continue
        os._exit(0)
        """,
    )


def test_random_calls_never_crash(tmp_path):
    out = run_abuse(
        tmp_path,
        """
        import re

        def arity(name):
            try:
                getattr(c, name)(*[None] * 20)
            except TypeError as error:
                said = re.search(r'(\\d+|no|one) arguments?', str(error)).group(1)
                return {'no': 0, 'one': 1}.get(said) if said.isalpha() else int(said)

        def fits(name, count, handle):
            try:
                getattr(c, name)(handle, *[object()] * (count - 1))
            except Exception as error:
                return 'argument 1' not in str(error)
            return True

        rng = random.Random(4711)
        known = {name: arity(name) for name in names}
        firsts = {name: [h for h in handles if n and fits(name, n, h)] for name, n in known.items()}
        fine = 0
        for _ in range(120_000):
            name = rng.choice(names)
            count = known[name]
            args = [rng.choice(junk + handles) for _ in range(count)]
            if firsts[name] and rng.random() < 0.95:
                args[0] = rng.choice(firsts[name])
            for place in range(1, count):  # often the right kind, or few calls would get far
                if rng.random() < 0.6:
                    args[place] = rng.choice(['x', 'gpt-4o', '{}', '[]', b'y', 0, 1, 7, None, {}, 'a.b'])
            try:
                getattr(c, name)(*args)
                fine += 1
            except Exception:
                pass
        print(fine)
        os._exit(0)
        """,
    )
    assert int(out) > 5_000, "the calls were too wild to say anything"


def test_none_for_a_handle_is_a_type_error():
    for name, parameters in functions().items():
        if in_other_form(name) or not re.match(r"\s*(const )?aicp_(?!\w*_options)\w+ \*\w", parameters):
            continue
        function = getattr(c, name)
        kinds = re.sub(r"\s+", " ", parameters).count(",") + 1
        raised = 0
        for count in range(1, kinds + 1):
            with pytest.raises((TypeError, ValueError, OverflowError)):
                function(*[None] * count)
            raised += 1
        assert raised


# -- errors ----------------------------------------------------------------------------------------


def test_errors_say_what_and_where():
    with pytest.raises(aicp.ParseError) as caught:
        aicp.PolicySet("permit(principal,\n  action resource);")
    error = caught.value
    assert isinstance(error, aicp.AicpError) and isinstance(error, ValueError)
    assert (error.code, error.name) == (c.AICP_ERR_PARSE, "ERR_PARSE")
    assert (error.line, error.column) == (2, 10)
    assert str(error).startswith("line 2, column 10: ")


def test_every_status_has_an_exception():
    from aicp.errors import make_error

    for name in dir(c):
        if name.startswith("AICP_ERR_") and isinstance(getattr(c, name), int):
            error = make_error(getattr(c, name), name[5:], "m", (0, 0, 0))
            assert type(error) is not aicp.AicpError or name in (
                "AICP_ERR_CALLBACK",
                "AICP_ERR_CRYPTO",
            ), name


def test_unknown_options_are_named():
    with pytest.raises(TypeError, match="nonsense"):
        c.aicp_policy_set_parse("", {"nonsense": 1})
    with pytest.raises(TypeError, match="flags"):
        c.aicp_policy_set_parse("", {"flags": "x"})
    with pytest.raises(OverflowError, match="flags"):
        c.aicp_policy_set_parse("", {"flags": 2**40})


def test_closed_objects_say_so():
    policies = aicp.PolicySet("")
    with policies:
        assert len(policies) == 0
    with pytest.raises(aicp.StateError, match="PolicySet is closed"):
        len(policies)
    policies.close()


def test_objects_cannot_be_copied_or_pickled():
    import copy
    import pickle

    policies = aicp.PolicySet("")
    for call in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            call(policies)


def test_texts_may_be_str_bytes_or_buffers():
    for text in ("1.5", b"1.5", bytearray(b"1.5"), memoryview(b"1.5")):
        assert c.aicp_money_parse(text) == 1_500_000_000
    for wrong in (None, 1, ["1"], "\ud800"):
        with pytest.raises((TypeError, UnicodeEncodeError)):
            c.aicp_money_parse(wrong)


# -- nothing leaks ---------------------------------------------------------------------------------


def resident_kb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


POLICIES = aicp.PolicySet('@a("b") permit(principal, action, resource) when { context.n > 1 };')
ENTITIES = aicp.Entities('[{"uid": {"type": "U", "id": "a"}, "attrs": {}, "parents": []}]')


def fails(call, *args):
    try:
        call(*args)
    except (aicp.AicpError, TypeError, ValueError):
        return
    raise AssertionError("no exception")


@pytest.mark.parametrize(
    "call",
    [
        lambda: aicp.PolicySet("permit(principal, action, resource);"),
        lambda: fails(aicp.PolicySet, "permit("),
        lambda: fails(c.aicp_policy_set_parse, "", {"flags": "x"}),
        lambda: fails(c.aicp_policy_set_parse, object(), None),
        lambda: c.aicp_money_parse(bytearray(b"1.25")),
        lambda: fails(c.aicp_money_parse, bytearray(b"x")),
        lambda: POLICIES.authorize(("U", "a"), ("A", "b"), ("R", "c"), {"n": 2}, ENTITIES),
        lambda: POLICIES[0],
        lambda: aicp.parse_usage({"prompt_tokens": 1, "completion_tokens": 2}),
    ],
)
def test_memory_does_not_grow(call):
    grown = []
    for _ in range(3):  # a leak grows each time, the allocator's own habits do not
        before = resident_kb()
        for _ in range(8_000):
            call()
        grown.append(resident_kb() - before)
    assert min(grown) < 200, grown


def test_references_to_arguments_are_given_back():
    text = "permit(principal, action, resource);" + " " * 50
    options = {"max_depth": 10}
    before = sys.getrefcount(text), sys.getrefcount(options)
    for _ in range(100):
        c.aicp_policy_set_parse(text, options)
        fails(c.aicp_policy_set_parse, text, {"nonsense": text})
    assert (sys.getrefcount(text), sys.getrefcount(options)) == before


# -- threads and processes -------------------------------------------------------------------------


def test_shared_objects_serve_many_threads():
    wrong = []

    def work(n):
        for _ in range(300):
            asked = {"n": n}
            if bool(POLICIES.authorize(("U", "a"), ("A", "b"), ("R", "c"), asked)) != (n > 1):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_other_threads_run_during_long_calls():
    text = "some words to count, and more of them. " * 200_000
    tokenizer = aicp.Tokenizer("o200k_base")
    ticks, over = [0], threading.Event()

    def tick():
        while not over.is_set():
            ticks[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    interval = sys.getswitchinterval()
    thread.start()
    try:
        sys.setswitchinterval(0.0005)
        begin, start = ticks[0], time.perf_counter()
        while time.perf_counter() - start < 0.3:
            tokenizer.count(text)
        during = ticks[0] - begin
    finally:
        sys.setswitchinterval(interval)
        over.set()
        thread.join()
    # With the interpreter's lock kept, it could tick once a call at most.
    assert during > 20


def test_a_forked_child_can_use_what_the_parent_made():
    child = os.fork()
    if child == 0:
        ok = POLICIES.authorize(("U", "a"), ("A", "b"), ("R", "c"), {"n": 2}).allowed
        os._exit(0 if ok and len(aicp.PolicySet("forbid(principal, action, resource);")) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_everything_public_has_a_docstring():
    for name in aicp.__all__:
        thing = getattr(aicp, name)
        assert inspect.getdoc(thing), name
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            for member, value in vars(thing).items():
                if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                    assert inspect.getdoc(value), f"{name}.{member}"
