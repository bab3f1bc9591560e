"""One gateway host of the demo: demo_host.py RULES_URL STORE_URL FOLDER NODE TEAM REQUESTS. It has a data folder of its own, takes its
rules from admin-api, and shares the store's budgets. Prints {"admitted", "refused", "spent_nano"} as JSON."""

import json
import os
import sys

import aicp

BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 100}


def main() -> None:
    rules, store, folder, node, team, requests = sys.argv[1:]
    admitted = refused = spent = 0
    key = os.environ["AICP_SERVICE_KEY"]
    with aicp.Gate(rules, store=store, node=node, cache=folder, service_key=key) as gate:
        for i in range(int(requests)):
            with gate.check(json.dumps(BODY), key=f"{node}-{i}", team=team, wait=5.0) as decision:
                if not decision.allowed:
                    refused += 1
                    continue
                admitted += 1
                # the worst case: what was reserved is what it cost
                spent += decision.reserved_nano
                decision.settle(cost_nano=decision.reserved_nano)
        gate.flush()
    print(json.dumps({"admitted": admitted, "refused": refused, "spent_nano": spent}))


if __name__ == "__main__":
    main()
