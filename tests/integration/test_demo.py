"""The demo, as a newcomer runs it."""

import re

import aicp_dev


def test_the_demo_comes_out_as_expected(proxy):
    done = aicp_dev.run_dev("demo", state=proxy.state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT AS EXPECTED" not in done.stdout
    rows = re.findall(r"^(\d)  \S.{29}  (allowed|refused \d+) +[\d,]+  \S", done.stdout, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 9)), done.stdout
    told, asked = re.search(r"^(\d+) of (\d+) as expected$", done.stdout, re.MULTILINE).groups()
    assert told == asked
