"""Runs the tool and compares what it prints. Usage: run.py PATH-OF-AICP [NAME...]"""

import subprocess
import sys
import unittest

TOOL = sys.argv[1]


def aicp(*args, stdin=""):
    done = subprocess.run([TOOL, *args], input=stdin, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


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

    def test_unknown_words_are_usage_errors(self):
        for args in ([], ["nonsense"], ["completion", "--nonsense"], ["completion", "csh"]):
            code, out, err = aicp(*args)
            self.assertEqual((code, out), (2, ""), args)
            self.assertTrue(err, args)

    def test_completion_names_every_verb(self):
        _, out, _ = aicp("completion", "bash")
        self.assertIn("complete -o default -F _aicp aicp", out)
        self.assertEqual(subprocess.run(["bash", "-n"], input=out, text=True).returncode, 0)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=1)
