"""Runs the tool and compares what it prints. Usage: run.py PATH-OF-AICP [NAME...]"""

import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOL = sys.argv[1]


def aicp(*args, stdin=""):
    done = subprocess.run([TOOL, *args], input=stdin, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def lines(*args, stdin):
    """Runs a verb over JSON Lines; the exit code and the lines that come out."""
    if not isinstance(stdin, str):
        stdin = "".join(json.dumps(line) + "\n" for line in stdin)
    code, out, err = aicp(*args, stdin=stdin)
    return code, [json.loads(line) for line in out.splitlines()], err


class Files(unittest.TestCase):
    """Tests that need files."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path


class Frame(unittest.TestCase):
    def test_version_is_printed(self):
        code, out, _ = aicp("--version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^aicp \d+\.\d+\.\d+\n$")

    def test_every_listed_verb_has_help(self):
        code, out, _ = aicp("--help")
        self.assertEqual(code, 0)
        verbs = [line[2:22].split() for line in out.splitlines() if line.startswith("  ") and line[2] != " "]
        self.assertTrue(verbs)
        for verb in verbs:
            if verb[0] == "aicp":
                continue
            code, text, _ = aicp(*verb, "--help")
            self.assertEqual(code, 0, verb)
            self.assertTrue(text.startswith("Usage: aicp " + " ".join(verb)), text)

    def test_descriptions_for_fish_keep_their_quotes(self):
        code, out, _ = aicp("completion", "fish")
        self.assertEqual(code, 0)
        self.assertIn(r"is the policy\'s id'", out)
        for line in out.splitlines():
            self.assertRegex(line, r"^([^'\\]|'([^'\\]|\\['\\])*')*$")

    def test_unknown_words_are_usage_errors(self):
        for args in ([], ["nonsense"], ["completion", "--nonsense"], ["completion", "csh"]):
            code, out, err = aicp(*args)
            self.assertEqual((code, out), (2, ""), args)
            self.assertTrue(err, args)

    def test_completion_names_every_verb(self):
        _, out, _ = aicp("completion", "bash")
        self.assertIn("complete -o default -F _aicp aicp", out)
        self.assertEqual(subprocess.run(["bash", "-n"], input=out, text=True).returncode, 0)

    def test_a_missing_file_is_the_environment(self):
        code, out, err = aicp("policy", "check", "/nowhere.cedar")
        self.assertEqual((code, out), (3, ""))
        self.assertIn("/nowhere.cedar", err)

    def test_a_full_disk_is_told(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([TOOL, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 3, done.stderr)


class PolicyCheck(Files):
    def test_good_policies_give_nothing(self):
        path = self.file("a.cedar", "permit(principal, action, resource);")
        self.assertEqual(aicp("policy", "check", path), (0, "", ""))
        self.assertEqual(aicp("policy", "check", "--json", path)[:2], (0, "[]\n"))

    def test_each_bad_file_is_placed(self):
        good = self.file("good.cedar", "")
        bad = self.file("bad.cedar", "permit(principal,\n  action resource);")
        code, out, _ = aicp("policy", "check", good, bad)
        self.assertEqual(code, 1)
        self.assertTrue(out.startswith(f"{bad}:2:10: error: "), out)
        code, out, _ = aicp("policy", "check", "--json", good, bad)
        self.assertEqual(code, 1)
        (problem,) = json.loads(out)
        self.assertEqual((problem["file"], problem["line"], problem["column"]), (bad, 2, 10))

    def test_standard_input(self):
        code, out, _ = aicp("policy", "check", "-", stdin="forbid(")
        self.assertEqual(code, 1)
        self.assertTrue(out.startswith("-:1:"), out)

    def test_no_file_is_a_usage_error(self):
        self.assertEqual(aicp("policy", "check")[0], 2)

    def test_the_line_is_shown_with_a_caret(self):
        bad = self.file("bad.cedar", 'permit(principal, action,\n\t// "\u00e4\u00e4"\n\t resource resource);')
        _, out, _ = aicp("policy", "check", bad)
        self.assertEqual(out.splitlines()[1:], ["  \t resource resource);", "  \t          ^"])

    def schema(self, text=None):
        return self.file(
            "s.cedarschema",
            text
            or "entity User { age: Long }; entity Doc;\n"
            'action read appliesTo { principal: User, resource: Doc, context: { ip?: ipaddr } };',
        )

    def test_policies_are_judged_by_a_schema(self):
        bad = self.file("bad.cedar", "permit(principal, action, resource)\nwhen { principal.age < principal.name };")
        code, out, _ = aicp("policy", "check", "--schema", self.schema(), bad)
        self.assertEqual(code, 1)
        self.assertTrue(out.startswith(f"{bad}:2:"), out)
        self.assertIn("name", out)
        code, out, _ = aicp("policy", "check", "--json", "--schema", self.schema(), bad)
        (problem,) = json.loads(out)
        self.assertEqual((code, problem["code"], problem["policy"]), (1, "UnsafeAttributeAccess", "policy0"))
        good = self.file("good.cedar", "permit(principal, action, resource) when { principal.age < 7 };")
        self.assertEqual(aicp("policy", "check", "--schema", self.schema(), good), (0, "", ""))

    def test_warnings_alone_are_no_failure(self):
        never = self.file("w.cedar", "permit(principal, action, resource) when { principal.age == 1 && false };")
        code, out, _ = aicp("policy", "check", "--schema", self.schema(), never)
        self.assertEqual(code, 0)
        self.assertIn(": warning: ", out)

    def test_a_scope_that_no_action_applies_to_is_an_error_unless_told_otherwise(self):
        path = self.file("p.cedar", "permit(principal == Doc::\"d\", action, resource);")
        code, out, _ = aicp("policy", "check", "--json", "--schema", self.schema(), path)
        self.assertEqual((code, json.loads(out)[0]["code"]), (1, "InvalidActionApplication"))
        code, out, _ = aicp("policy", "check", "--inapplicable-warns", "--schema", self.schema(), path)
        self.assertEqual(code, 0, out)
        self.assertIn(": warning: ", out)

    def test_with_an_empty_file_the_schema_itself_is_judged(self):
        empty = self.file("empty.cedar", "")
        self.assertEqual(aicp("policy", "check", "--schema", self.schema(), empty), (0, "", ""))
        wrong = self.schema("entity User in [Nobody];")
        code, out, _ = aicp("policy", "check", "--schema", wrong, empty)
        self.assertEqual(code, 1)
        self.assertTrue(out.startswith(f"{wrong}:1:"), out)
        as_json = self.schema('{"": {"entityTypes": {"User": {}}, "actions": {}}}')
        self.assertEqual(aicp("policy", "check", "--schema", as_json, empty), (0, "", ""))

    def test_the_platforms_own_policies_fit_their_schema(self):
        root = os.path.join(os.path.dirname(__file__), "../../..")
        policies = [os.path.join(root, "config", path) for path in ("policy/default.cedar", "bundle/demo/policies.cedar")]
        schema = os.path.join(root, "config/policy/aicp.cedarschema")
        self.assertEqual(aicp("policy", "check", "--schema", schema, *policies), (0, "", ""))


class PolicyForms(Files):
    TEXT = """// who may
@id("a") permit(principal,action,resource) when{context.x>=-1&&resource has a.b}; // read
"""

    def test_format_lays_out_and_keeps_comments(self):
        path = self.file("p.cedar", self.TEXT)
        code, out, _ = aicp("policy", "format", path)
        self.assertEqual(code, 0)
        self.assertIn("// who may", out)
        self.assertIn("// read", out)
        self.assertIn("context.x >= -1", out)
        self.assertEqual(aicp("policy", "format", "-", stdin=out), (0, out, ""))

    def test_format_checks_and_writes_files(self):
        path = self.file("p.cedar", self.TEXT)
        self.assertEqual(aicp("policy", "format", "--check", path), (1, path + "\n", ""))
        self.assertEqual(aicp("policy", "format", "--write", path), (0, "", ""))
        self.assertEqual(aicp("policy", "format", "--check", path), (0, "", ""))
        with open(path) as file:
            self.assertIn("context.x >= -1", file.read())

    def test_what_cannot_be_read_is_not_written(self):
        path = self.file("p.cedar", "permit(principal,\naction resource);")
        code, out, err = aicp("policy", "format", "--write", path)
        self.assertEqual((code, out), (1, ""))
        self.assertTrue(err.startswith(f"{path}:2:8: error: "), err)
        self.assertEqual(aicp("policy", "format", "--width", "none", path)[0], 2)

    def test_policies_become_json_and_text_again(self):
        path = self.file("p.cedar", self.TEXT)
        code, out, err = aicp("policy", "to-json", path)
        self.assertEqual(code, 0, err)
        policy = json.loads(out)["staticPolicies"]["policy0"]
        self.assertEqual((policy["effect"], policy["annotations"]), ("permit", {"id": "a"}))
        self.assertEqual(list(json.loads(aicp("policy", "to-json", "--id-from-annotation", path)[1])["staticPolicies"]), ["a"])
        code, text, err = aicp("policy", "from-json", stdin=out)
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(aicp("policy", "to-json", stdin=text)[1]), json.loads(out))
        code, out, err = aicp("policy", "from-json", stdin='{"staticPolicies": {"a": {}}}')
        self.assertEqual((code, out), (1, ""))
        self.assertTrue(err.startswith("-:1:"), err)

    def test_schemas_become_json_and_text_again(self):
        text = 'entity User in [Group] { age?: Long }; entity Group; action a appliesTo { principal: User, resource: Group };'
        code, out, err = aicp("policy", "schema", "to-json", "-", stdin=text)
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(out)[""]["entityTypes"]["User"]["memberOfTypes"], ["Group"])
        code, back, err = aicp("policy", "schema", "from-json", stdin=out)
        self.assertEqual(code, 0, err)
        self.assertEqual(json.loads(aicp("policy", "schema", "to-json", stdin=back)[1]), json.loads(out))
        self.assertEqual(aicp("policy", "schema", "sideways", stdin="")[0], 2)


class PolicyAuthorize(Files):
    def setUp(self):
        super().setUp()
        self.policies = self.file(
            "p.cedar",
            """@id("small") permit(principal in Team::"blue", action, resource == Model::"small");
            forbid(principal, action, resource) when { context.tokens > 100 };
            permit(principal, action, resource) when { resource.none == 1 };""",
        )
        self.entities = self.file(
            "e.json",
            json.dumps(
                [
                    {
                        "uid": {"type": "User", "id": "ann"},
                        "attrs": {},
                        "parents": [{"type": "Team", "id": "blue"}],
                    },
                    {"uid": {"type": "Team", "id": "blue"}, "attrs": {}, "parents": []},
                ]
            ),
        )

    def ask(self, *more, stdin):
        return lines(
            "policy", "authorize", "--policies", self.policies, "--entities", self.entities, *more,
            stdin=stdin,
        )

    def request(self, **more):
        return {
            "principal": {"type": "User", "id": "ann"},
            "action": 'Action::"chat"',
            "resource": {"type": "Model", "id": "small"},
            "context": {"tokens": 7},
            **more,
        }

    def test_decisions_come_with_reasons_and_errors(self):
        code, out, _ = self.ask(
            stdin=[
                self.request(),
                self.request(context={"tokens": 101}),
                self.request(principal='User::"bob"'),
            ]
        )
        self.assertEqual(code, 0)
        self.assertEqual([o["decision"] for o in out], ["allow", "deny", "deny"])
        self.assertEqual([o["reasons"] for o in out], [["policy0"], ["policy1"], []])
        (failed,) = out[0]["errors"]
        self.assertEqual((failed["policy"], failed["kind"]), ("policy2", "EntityDoesNotExist"))
        self.assertEqual((failed["line"], failed["column"]), (3, 56))

    def test_ids_from_annotations(self):
        _, out, _ = self.ask("--id-from-annotation", stdin=[self.request()])
        self.assertEqual(out[0]["reasons"], ["small"])

    def test_escapes_in_ids(self):
        path = self.file("q.cedar", r'permit(principal == User::"a\"b\u{e9}\n", action, resource);')
        _, out, _ = lines(
            "policy", "authorize", "--policies", path,
            stdin=[self.request(principal='User::"a\\"b\\u{e9}\\n"')],
        )
        self.assertEqual(out[0]["decision"], "allow")

    def test_a_bad_line_is_told_and_the_run_goes_on(self):
        good = json.dumps(self.request())
        bad = [
            "nonsense", "[]", '{"principal": 1}', json.dumps(self.request(principal="User")),
            json.dumps(self.request(action='Action::"\\q"')), json.dumps(self.request(context=[])),
            json.dumps(self.request(resource={"type": "Model"})), good + "x",
        ]
        code, out, _ = self.ask(stdin="\n".join([*bad, good]) + "\n")
        self.assertEqual(code, 1)
        self.assertEqual(len(out), len(bad) + 1)
        for line in out[:-1]:
            self.assertIn("message", line["error"], line)
        self.assertEqual([line["error"]["line"] for line in out[:-1]], list(range(1, len(bad) + 1)))
        self.assertEqual(out[-1]["decision"], "allow")

    def test_answers_do_not_wait_for_the_end_of_the_input(self):
        command = [TOOL, "policy", "authorize", "--line-buffered", "--policies", self.policies]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as run:
            for _ in range(3):
                run.stdin.write(json.dumps(self.request()) + "\n")
                run.stdin.flush()
                self.assertEqual(json.loads(run.stdout.readline())["decision"], "deny")
            run.stdin.close()
            self.assertEqual(run.wait(60), 0)

    def test_more_lines_than_one_block_keep_their_numbers(self):
        good = json.dumps(self.request(note="x" * 1000))
        count = 2000
        code, out, _ = self.ask(stdin=(good + "\n") * count + "nonsense")
        self.assertEqual((code, len(out)), (1, count + 1))
        self.assertTrue(all(line["decision"] == "allow" for line in out[:-1]))
        self.assertEqual(out[-1]["error"]["line"], count + 1)

    def test_answers_are_explained(self):
        code, out, _ = lines(
            "policy", "explain", "--policies", self.policies, "--entities", self.entities,
            stdin=[self.request(), "nonsense", self.request(context={"tokens": 101})],
        )
        self.assertEqual(code, 1)
        self.assertEqual([o.get("decision") for o in out], ["allow", None, "deny"])
        self.assertEqual(out[1]["error"]["line"], 2)
        forbid = out[2]["policies"][1]
        self.assertEqual((forbid["policy"], forbid["outcome"]), ("policy1", "satisfied"))
        self.assertEqual(
            forbid["flips"],
            [{"if": "!(context.tokens > 100)", "by": "context.tokens = 100", "decision": "allow"}],
        )
        far = self.file("far.cedar", "permit(principal is Key, action, resource is Doc);")
        for more, told in ([], 0), (["--all"], 1):
            _, out, _ = lines(
                "policy", "explain", "--policies", far, *more, stdin=[self.request()]
            )
            self.assertEqual((len(out[0]["policies"]), out[0]["passed_over"]), (told, 1 - told))
        self.assertEqual(aicp("policy", "explain")[0], 2)

    def test_explain_passes_over_the_lines_and_places_the_errors_as_authorize_does(self):
        text = "  \t\r\n\n" + json.dumps({"principal": 'User::"ann"'}) + "\nnonsense\n"
        told = [
            lines("policy", verb, "--policies", self.policies, stdin=text)[:2]
            for verb in ("authorize", "explain")
        ]
        self.assertEqual([e["error"]["line"] for e in told[0][1]], [3, 4])
        self.assertEqual(told[0], told[1])

    def test_explanations_on_a_terminal_are_text(self):
        terminal, side = pty.openpty()
        self.addCleanup(os.close, terminal)
        subprocess.run(
            [TOOL, "policy", "explain", "--policies", self.policies],
            input=json.dumps(self.request(context={"tokens": 7})), stdout=side, text=True, timeout=60,
        )
        os.close(side)
        text = os.read(terminal, 65536).decode()
        self.assertTrue(text.startswith("deny\r\n  policy0 (permit, line 1) not applicable"), text)
        self.assertIn('principal in Team::"blue", but principal is User::"ann"', text)
        self.assertIn('allow if principal in Team::"blue" (tried principal in Team::"blue")', text)
        self.assertIn("policy1 (forbid, line 2) not satisfied: 2:56: context.tokens > 100 is false", text)
        self.assertIn("      context.tokens is 7\r\n", text)
        self.assertIn('error: 3:56: the entity Model::"small" does not exist', text)

    def test_lines_of_endless_length_are_not_shown(self):
        path = self.file("long.cedar", "permit(principal, action, resource) when { " + "(" * 100000)
        code, out, _ = aicp("policy", "check", path)
        self.assertEqual((code, out.count("\n")), (1, 1))
        self.assertIn("long.cedar:1:", out)

    def test_a_byte_order_mark_is_named(self):
        path = self.file("bom.cedar", "\ufeffpermit(principal, action, resource);")
        code, out, _ = aicp("policy", "check", path)
        self.assertEqual(code, 1)
        self.assertIn("bom.cedar:1:1: error: a byte order mark stands here", out)

    def test_broken_files_end_the_run(self):
        broken = self.file("x.cedar", "permit(")
        for args in (["--policies", broken], ["--policies", self.policies, "--entities", broken]):
            code, out, err = lines("policy", "authorize", *args, stdin=[self.request()])
            self.assertEqual((code, out), (1, []))
            self.assertIn(broken, err)
        self.assertEqual(lines("policy", "authorize", stdin=[])[0], 2)

    def test_a_schema_reads_and_checks_entities_and_requests(self):
        schema = self.file(
            "s.cedarschema",
            """entity Team; entity User in Team { from?: ipaddr }; entity Model;
            action use;
            action chat in use appliesTo {
                principal: User, resource: Model, context: { tokens: Long, from?: ipaddr }
            };""",
        )
        policies = self.file(
            "q.cedar",
            """permit(principal, action in Action::"use", resource)
            when { context has from && context.from.isLoopback() };""",
        )
        asked = [
            self.request(context={"tokens": 1, "from": "127.0.0.1"}),
            self.request(context={"tokens": "1"}),
            self.request(action='Action::"chatt"'),
            self.request(resource='User::"ann"'),
        ]
        for verb in "authorize", "explain":
            ask = ["policy", verb, "--policies", policies, "--schema", schema]
            for more in [], ["--entities", self.entities]:
                code, out, _ = lines(*ask, *more, stdin=asked)
                self.assertEqual((code, out[0].get("decision")), (1, "allow"), out)
                errors = [line["error"] for line in out[1:]]
                self.assertEqual([e["code"] for e in errors], ["ERR_POLICY_TYPE"] * 3)
                self.assertEqual([e["line"] for e in errors], [2, 3, 4])
                self.assertEqual(lines(*ask, *more, stdin=asked[:1])[0], 0)
        wrong = self.file(
            "w.json", '[{"uid": {"type": "User", "id": "ann"}, "attrs": {"from": 1}, "parents": []}]'
        )
        code, out, err = lines(*ask, "--entities", wrong, stdin=asked)
        self.assertEqual((code, out), (1, []))
        self.assertIn('User::"ann": attribute "from"', err)
        self.assertEqual(aicp("policy", "authorize", "--policies", policies, "--schema", policies)[0], 1)

    def test_templates_are_linked(self):
        path = self.file("t.cedar", "permit(principal == ?principal, action, resource);")
        links = self.file(
            "l.json",
            json.dumps(
                [
                    {
                        "templateId": "policy0",
                        "newId": "ann-may",
                        "values": {"?principal": {"type": "User", "id": "ann"}},
                    }
                ]
            ),
        )
        _, out, _ = lines(
            "policy", "authorize", "--policies", path, "--links", links, stdin=[self.request()]
        )
        self.assertEqual(out[0]["reasons"], ["ann-may"])


class LimitSimulate(Files):
    def setUp(self):
        super().setUp()
        self.rules = self.file(
            "r.json",
            json.dumps(
                [
                    {
                        "id": "rpm",
                        "kind": "requests",
                        "limit": 2,
                        "window": "1m",
                        "per": ["team"],
                        "algorithm": "fixed_window",
                    }
                ]
            ),
        )

    def run_lines(self, stdin):
        return lines("limit", "simulate", "--rules", self.rules, stdin=stdin)

    def test_the_third_request_of_a_minute_waits(self):
        asks = [{"t": t, "subject": {"team": "blue"}} for t in (0, 0.5, 1.25, 61)]
        code, out, _ = self.run_lines(asks)
        self.assertEqual(code, 0)
        self.assertEqual([o["allowed"] for o in out], [True, True, False, True])
        self.assertEqual([o["remaining"] for o in out], [1, 0, 0, 1])
        self.assertEqual(out[2]["retry_after"], out[2]["reset_after"])
        self.assertEqual({o["rule"] for o in out}, {"rpm"})
        self.assertEqual({o["limit"] for o in out}, {2})

    def test_teams_do_not_share(self):
        asks = [{"t": 0, "subject": {"team": team}} for team in "aabb"]
        self.assertTrue(all(o["allowed"] for o in self.run_lines(asks)[1]))

    def test_without_a_rule_everything_passes(self):
        _, out, _ = self.run_lines([{"t": 0, "subject": {"user": "x"}}])
        self.assertEqual((out[0]["allowed"], out[0]["rule"], out[0]["limit"]), (True, None, None))

    def test_bad_lines_are_told(self):
        bad = [
            {"subject": {}}, {"t": -1}, {"t": "x"}, {"t": 0, "subject": {"team": 1}},
            {"t": 0, "tokens": "many"}, {"t": 0, "subject": []},
        ]
        code, out, _ = self.run_lines(bad)
        self.assertEqual(code, 1)
        self.assertEqual(len(out), len(bad))
        self.assertTrue(all("error" in o for o in out), out)

    def test_bad_rules_are_placed(self):
        rules = self.file("x.json", '[{"id": "a",\n "kind": "nonsense"}]')
        code, out, err = lines("limit", "simulate", "--rules", rules, stdin=[])
        self.assertEqual((code, out), (1, []))
        self.assertIn(f"{rules}:2:", err)


class Guard(Files):
    def scan(self, profile, *more, stdin):
        return lines("guard", "scan", "--config", self.file("g.json", json.dumps(profile)), *more, stdin=stdin)

    def test_texts_are_masked_and_findings_listed(self):
        code, out, _ = self.scan(
            {"pii": {"action": "mask"}},
            stdin=[{"id": 1, "text": "gr\u00fc\u00dfe an bob.smith@example.com"}, {"id": "b", "text": "nothing"}],
        )
        self.assertEqual(code, 0)
        self.assertEqual([o["id"] for o in out], [1, "b"])
        self.assertEqual([o["action"] for o in out], ["mask", "none"])
        self.assertEqual([o["text"] for o in out], ["gr\u00fc\u00dfe an <EMAIL_ADDRESS>", None])
        (found,) = out[0]["findings"]
        self.assertEqual(
            {k: found[k] for k in ("type", "start", "end", "action", "detector")},
            {"type": "EMAIL_ADDRESS", "start": 11, "end": 32, "action": "mask", "detector": "pii"},
        )
        self.assertGreater(out[0]["risk_score"], 0)

    def test_offsets_in_characters(self):
        _, out, _ = self.scan(
            {}, "--offsets", "chars", stdin=[{"text": "gr\u00fc\u00dfe an bob.smith@example.com"}]
        )
        self.assertEqual(out[0]["findings"][0]["start"], 9)

    def test_a_team_has_its_profile(self):
        section = {
            "default": "mask",
            "profiles": [
                {"name": "mask", "pii": {"action": "mask"}},
                {"name": "stop", "pii": {"action": "block"}},
            ],
            "assignments": [{"match": {"team": ["red", "blue-*"]}, "profile": "stop", "priority": 1}],
        }
        ask = [{"text": "bob@example.com"}]
        actions = {
            team: self.scan(section, *(["--team", team] if team else []), stdin=ask)[1][0]["action"]
            for team in ("", "red", "blue-1", "blue", "green")
        }
        expected = {"": "mask", "red": "block", "blue-1": "block", "blue": "mask", "green": "mask"}
        self.assertEqual(actions, expected)
        code, out, err = self.scan({**section, "default": "none"}, stdin=ask)
        self.assertEqual((code, out), (1, []))
        self.assertIn("none", err)

    def test_lines_do_not_know_of_each_other(self):
        asks = [{"text": f"mail {name}@example.com"} for name in ("ann", "bob")]
        _, out, _ = self.scan({"pii": {"action": "anonymize"}}, stdin=asks)
        self.assertEqual([o["text"] for o in out], ["mail <EMAIL_ADDRESS_1>"] * 2)

    def test_bad_lines_and_profiles(self):
        code, out, _ = self.scan({}, stdin=[{"id": 7}, {"text": 1}, {"text": "fine"}])
        self.assertEqual(code, 1)
        self.assertEqual(["error" in o for o in out], [True, True, False])
        self.assertEqual(out[0]["id"], 7)
        bad = self.file("b.json", '{"pii":\n {"actoin": "mask"}}')
        code, out, err = lines("guard", "scan", "--config", bad, stdin=[])
        self.assertEqual((code, out), (1, []))
        self.assertIn(f"{bad}:2:", err)
        self.assertEqual(lines("guard", "scan", stdin=[])[0], 2)
        self.assertEqual(self.scan({}, "--offsets", "yards", stdin=[])[0], 2)

    def test_rules_are_listed(self):
        code, out, _ = lines("guard", "rules", stdin="")
        self.assertEqual(code, 0)
        self.assertIn("EMAIL_ADDRESS", {rule["type"] for rule in out})
        for rule in out:
            self.assertLessEqual(
                {"id", "type", "region", "validation", "action", "detector"}, set(rule), rule
            )


class Tokens(Files):
    def test_standard_input_is_raw_bytes(self):
        done = subprocess.run(
            [TOOL, "tokens", "--encoding", "cl100k_base"], input=b"hello world\xff", capture_output=True
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(int(done.stdout), 2)

    def test_counts_and_ids(self):
        path = self.file("a.txt", "hello world")
        self.assertEqual(aicp("tokens", "--encoding", "cl100k_base", path)[:2], (0, "2\n"))
        self.assertEqual(aicp("tokens", "--model", "gpt-4o", path, path)[:2], (0, "2\n2\n"))
        code, out, _ = lines("tokens", "--encoding", "cl100k_base", "--ids", path, stdin="")
        self.assertEqual((code, out), (0, [{"count": 2, "ids": [15339, 1917]}]))
        self.assertEqual(lines("tokens", "--encoding", "cl100k_base", "--json", stdin="")[1], [{"count": 0}])

    def test_json_lines(self):
        code, out, _ = lines(
            "tokens", "--encoding", "cl100k_base", "--jsonl", stdin=[{"text": "hello"}, {"text": 1}, {"text": ""}]
        )
        self.assertEqual(code, 1)
        self.assertEqual((out[0], out[2]), ({"count": 1}, {"count": 0}))
        self.assertIn("error", out[1])

    def test_special_tokens(self):
        path = self.file("s.txt", "<|endoftext|>")
        count = ["tokens", "--encoding", "cl100k_base", path, "--special"]
        self.assertGreater(int(aicp(*count, "none")[1]), 1)
        self.assertEqual(aicp(*count, "all")[1], "1\n")
        code, out, err = aicp(*count, "strict")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("special", err)

    def test_usage(self):
        for args in ([], ["--encoding", "x", "--model", "y"], ["--encoding", "nonsense"]):
            self.assertEqual(aicp("tokens", *args)[0], 2, args)


class Cost(Files):
    def setUp(self):
        super().setUp()
        price = {
            "input_cost_per_token": 2.5e-06,
            "output_cost_per_token": 1e-05,
            "max_output_tokens": 16384,
            "litellm_provider": "openai",
            "mode": "chat",
        }
        self.prices = self.file("p.json", json.dumps({"gpt-4o": price, "bare": {"mode": "chat"}}))

    def body(self, **more):
        message = {"role": "user", "content": "hello"}
        return {"model": "gpt-4o", "messages": [message], "max_tokens": 10, **more}

    def test_a_request_is_priced_in_decimals(self):
        path = self.file("r.json", json.dumps(self.body()))
        code, out, err = lines("cost", "--prices", self.prices, path, stdin="")
        self.assertEqual(code, 0, err)
        (quote,) = out
        self.assertEqual((quote["model"], quote["provider"]), ("gpt-4o", "openai"))
        self.assertEqual((quote["currency"], quote["basis"]), ("USD", "exact"))
        self.assertEqual(quote["input_tokens"], 8)
        self.assertEqual(quote["cost"]["input"], "0.00002")
        self.assertEqual(quote["cost"]["total_max"], "0.00012")
        self.assertLessEqual({"p50", "p95"}, set(quote["output_tokens_expected"]))

    def test_lines_keep_their_order_and_their_errors(self):
        asks = [self.body(), self.body(model="nobody"), {}, self.body(model="bare"), self.body(max_tokens=1)]
        code, out, _ = lines("cost", "--prices", self.prices, "--jsonl", stdin=asks)
        self.assertEqual(code, 1)
        self.assertEqual(["error" in o for o in out], [False, True, True, True, False])
        self.assertEqual(out[1]["error"]["code"], "ERR_UNKNOWN_MODEL")
        self.assertEqual(out[3]["error"]["code"], "ERR_UNKNOWN_PRICE")

    def test_a_price_map_comes_along(self):
        env = {k: v for k, v in os.environ.items() if k != "AICP_PRICES"}
        done = subprocess.run([TOOL, "cost"], input=json.dumps(self.body()), capture_output=True, env=env, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["cost"]["input"], "0.00002")

    def test_prices_are_judged(self):
        bad = self.file("b.json", '{"m":\n {"input_cost_per_token": -1}}')
        code, out, err = lines("cost", "--prices", bad, stdin="{}")
        self.assertEqual((code, out), (1, []))
        self.assertIn(f"{bad}:2:", err)


class Bundle(Files):
    """A small bundle, sealed with the tool itself."""

    def setUp(self):
        super().setUp()
        self.bundle = os.path.join(self.folder, "bundle")
        os.mkdir(self.bundle)
        price = {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "max_output_tokens": 100}
        price.update({"litellm_provider": "openai", "mode": "chat"})
        self.section(
            "policies.cedar",
            """@id("all") permit(principal, action, resource);
            @id("no-big") @reason("team red may not use gpt-5") @advice("ask for gpt-4o")
            forbid(principal in AICP::Team::"red", action, resource == AICP::Model::"gpt-5");""",
        )
        self.section("entities.json", "[]")
        self.section("overrides.json", json.dumps({"gpt-4o": price, "gpt-5": price}))
        rule = {"id": "rpm", "kind": "requests", "limit": 1, "window": "1m", "per": ["user"]}
        self.section("limits.json", json.dumps([rule]))
        profile = {"name": "p", "pii": {"action": "mask"}}
        self.section("guardrails.json", json.dumps({"default": "p", "profiles": [profile]}))

    def section(self, name, text):
        with open(os.path.join(self.bundle, name), "w") as file:
            file.write(text)

    def seal(self, version="v1"):
        return aicp("bundle", "seal", "--version", version, self.bundle)


class BundleVerbs(Bundle):
    def test_seal_and_verify(self):
        self.assertEqual(self.seal(), (0, "", ""))
        code, out, _ = lines("bundle", "verify", self.bundle, stdin="")
        self.assertEqual(code, 0)
        self.assertEqual(out[0]["version"], "v1")

    def test_a_broken_section_is_placed_and_nothing_is_sealed(self):
        self.section("policies.cedar", "permit(principal,\n action resource);")
        code, out, err = self.seal()
        self.assertEqual((code, out), (1, ""))
        self.assertTrue(err.startswith(self.bundle + "/policies.cedar:2:"), err)
        self.assertFalse(os.path.exists(os.path.join(self.bundle, "manifest.json")))

    def test_a_changed_file_is_found(self):
        self.seal()
        self.section("entities.json", "[ ]")
        code, out, err = aicp("bundle", "verify", self.bundle)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("entities.json", err)
        self.assertIn("error", json.loads(aicp("bundle", "verify", "--json", self.bundle)[1]))

    def test_usage(self):
        self.assertEqual(aicp("bundle", "verify")[0], 2)
        self.assertEqual(aicp("bundle", "seal", self.bundle)[0], 2)
        self.assertNotEqual(aicp("bundle", "verify", "/nowhere")[0], 0)


class GateCheck(Bundle):
    def setUp(self):
        super().setUp()
        self.assertEqual(self.seal(), (0, "", ""))

    def ask(self, *more, stdin):
        return lines("gate", "check", "--bundle", self.bundle, *more, stdin=stdin)

    def line(self, text="hello", model="gpt-4o", **subject):
        message = {"role": "user", "content": text}
        body = {"model": model, "messages": [message], "max_tokens": 10}
        return {"request": body, "subject": {"key": "k", **subject}}

    def test_an_allowed_request(self):
        code, out, err = self.ask(stdin=[self.line()])
        self.assertEqual(code, 0, err)
        (decision,) = out
        self.assertEqual((decision["verdict"], decision["http_status"]), ("allow", 200))
        self.assertEqual({s["verdict"] for s in decision["steps"]}, {"pass"})
        self.assertEqual(decision["input_tokens"], 8)
        self.assertNotIn("timings_ns", decision)

    def test_timings(self):
        _, out, _ = self.ask("--timings", stdin=[self.line()])
        self.assertGreater(out[0]["timings_ns"]["total"], 0)

    def test_a_forbidden_model(self):
        _, out, _ = self.ask(stdin=[self.line(model="gpt-5", team="red"), self.line(model="gpt-5", team="x")])
        self.assertEqual([o["verdict"] for o in out], ["deny", "allow"])
        self.assertEqual((out[0]["http_status"], out[0]["step"], out[0]["rule"]), (403, "policy", "no-big"))
        self.assertIn("team red may not use gpt-5", out[0]["message"])
        verdicts = {s["step"]: s["verdict"] for s in out[0]["steps"]}
        self.assertEqual((verdicts["tokens"], verdicts["policy"], verdicts["limits"]), ("pass", "deny", "not reached"))

    def test_masked_text_comes_back(self):
        _, out, _ = self.ask(stdin=[self.line("mail bob.smith@example.com")])
        self.assertEqual(out[0]["request"]["messages"][0]["content"], "mail <EMAIL_ADDRESS>")

    def test_what_a_line_reserved_goes_back(self):
        _, out, _ = self.ask(stdin=[self.line(user="ann")] * 2)
        self.assertEqual([o["verdict"] for o in out], ["allow", "allow"])

    def test_bad_lines(self):
        bad = [
            {}, {"request": 1}, {"request": {}, "subject": []}, {"request": {}, "subject": {"key": 1}},
            {"request": {}, "subject": {"tags": "x"}}, {"request": {}, "subject": {"tags": [1]}},
            {**self.line(), "action": "fly"}, "text",
        ]
        code, out, _ = self.ask(stdin=[*bad, self.line()])
        self.assertEqual(code, 1)
        self.assertEqual(["error" in o for o in out], [True] * len(bad) + [False], out)

    def test_environment_and_usage(self):
        self.assertEqual(lines("gate", "check", stdin="")[0], 2)
        code, _, err = lines("gate", "check", "--bundle", "/nowhere", stdin="")
        self.assertNotEqual(code, 0)
        self.assertIn("/nowhere", err)


class Replay(Bundle):
    def setUp(self):
        super().setUp()
        self.assertEqual(self.seal(), (0, "", ""))

    def other(self, **sections):
        """A second bundle, with sections of its own."""
        other = os.path.join(self.folder, "other")
        shutil.copytree(self.bundle, other)
        for name, text in sections.items():
            file = {"policies": "policies.cedar"}.get(name, name + ".json")
            with open(os.path.join(other, file), "w") as out:
                out.write(text)
        code, _, err = aicp("bundle", "seal", "--version", "2", other)
        self.assertEqual(code, 0, err)
        return other

    def line(self, model="gpt-4o", team="blue", **more):
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
        return {"request": body, "subject": {"team": team}, **more}

    def test_changes_are_listed_and_counted(self):
        other = self.other(
            policies='@id("all") permit (principal, action, resource);'
            '@id("no-green") forbid (principal in AICP::Team::"green", action, resource);'
        )
        code, out, err = lines(
            "replay", "--bundle", self.bundle, "--against", other, stdin=[self.line(), self.line(team="green")]
        )
        self.assertEqual(code, 1, err)
        self.assertEqual([line["changed"] for line in out], [False, True])
        self.assertEqual(out[1]["before"], {"verdict": "allow"})
        self.assertEqual((out[1]["after"]["verdict"], out[1]["after"]["rule"]), ("deny", "no-green"))
        self.assertIn("2 requests: 1 newly denied, 0 newly allowed, 0 denied otherwise", err)

    def test_the_same_rules_change_nothing(self):
        code, out, _ = lines(
            "replay", "--bundle", self.bundle, "--against", self.other(), stdin=[self.line()] * 3
        )
        self.assertEqual((code, [line["changed"] for line in out]), (0, [False] * 3))

    def test_limits_count_by_the_time_of_the_lines(self):
        rule = [{"id": "two", "kind": "requests", "limit": 2, "window": "1m", "per": ["team"], "algorithm": "fixed_window"}]
        other = self.other(limits=json.dumps(rule))
        at = ["10:00:00", "10:00:01", "10:00:02", "10:01:30", "10:01:31"]
        stdin = [self.line(time=f"2026-11-22T{t}Z") for t in at]
        code, out, _ = lines("replay", "--bundle", self.bundle, "--against", other, stdin=stdin)
        self.assertEqual((code, [line["after"]["verdict"] for line in out]), (1, ["allow", "allow", "deny", "allow", "allow"]))

    def test_a_line_that_goes_back_in_time_is_bad(self):
        stdin = [self.line(time="2026-11-22T10:00:00Z"), self.line(time="2026-11-22T09:00:00Z"), self.line(time="noon")]
        code, out, _ = lines("replay", "--bundle", self.bundle, "--against", self.other(), stdin=stdin)
        self.assertEqual(code, 1)
        self.assertEqual(["error" in line for line in out], [False, True, True])

    def test_both_bundles_are_needed(self):
        self.assertEqual(lines("replay", "--bundle", self.bundle, stdin="")[0], 2)
        code, out, err = lines("replay", "--bundle", self.bundle, "--against", "/nowhere", stdin="")
        self.assertNotEqual(code, 0)
        self.assertEqual(out, [])
        self.assertIn("/nowhere", err)

    def test_budgets_fill_up_by_what_was_used(self):
        other = self.other(accounts=json.dumps([{"id": "a", "hard": "0.001", "duration": "1mo"}]))
        usage = {"prompt_tokens": 100, "completion_tokens": 300}
        code, out, _ = lines(
            "replay", "--bundle", self.bundle, "--against", other, stdin=[self.line(usage=usage)] * 3
        )
        self.assertEqual(code, 1)
        self.assertEqual([line["after"]["verdict"] for line in out], ["allow", "allow", "deny"])
        self.assertEqual(out[2]["after"]["step"], "budget")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=1)
