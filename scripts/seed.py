"""Puts the demo's rules into admin-api by HTTP calls: seed.py ADMIN_URL API_KEY MARK.

What is there already, by its name, stays. The file MARK keeps what was put in, each once, so that a rule which people
delete does not come back, while one that is new in this checkout is added.
"""

import json
import pathlib
import re
import sys

import aicp_dev

ROOT = pathlib.Path(__file__).resolve().parent.parent


def policies(text: str) -> list[dict]:
    """One policy for each Cedar policy with an @id."""
    found = re.finditer(r'^@id\("([^"]+)"\).*?;$', text, re.DOTALL | re.MULTILINE)
    return [{"name": match[1], "text": match[0]} for match in found]


def wanted() -> dict[str, list[dict]]:
    cedar = (ROOT / "config/bundle/demo/policies.cedar").read_text(encoding="utf-8")
    rules = json.loads((ROOT / "config/admin/demo.json").read_text(encoding="utf-8"))
    return {"policies": policies(cedar), **rules}


def assign(admin: aicp_dev.Admin, name: str, team: str) -> None:
    profile = admin.named("guardrails", name)
    if all(known["team_id"] != team for known in admin.get("teams?limit=1000")):
        admin.post("teams", {"team_id": team, "team_alias": team})
    admin.post(f"guardrails/{profile['id']}/assign/{team}?priority=10")


def put(admin: aicp_dev.Admin, path: str, item: dict) -> None:
    if all(known["name"] != item["name"] for known in admin.get(f"{path}?limit=1000")):
        admin.post(path, item)


def main() -> None:
    url, key, mark = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    rules = wanted()
    assignments = rules.pop("assignments", {})
    todo = {f"{path} {item['name']}": (put, path, item) for path, items in rules.items() for item in items}
    todo |= {f"assign {name} {team}": (assign, name, team) for name, teams in assignments.items() for team in teams}
    done = mark.read_text(encoding="utf-8").splitlines() if mark.exists() else []
    todo = {name: step for name, step in todo.items() if name not in done}
    if not todo:
        return
    admin = aicp_dev.Admin(url, key)
    for name, (act, *arguments) in todo.items():
        act(admin, *arguments)
        with mark.open("a", encoding="utf-8") as out:
            out.write(name + "\n")


if __name__ == "__main__":
    main()
