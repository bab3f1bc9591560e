"""Puts the demo's rules into admin-api by HTTP calls: seed.py ADMIN_URL API_KEY. What is there already, by its name, stays."""

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


def assign(admin: aicp_dev.Admin, assignments: dict[str, list[str]]) -> None:
    ids = {profile["name"]: profile["id"] for profile in admin.get("guardrails")} if assignments else {}
    known = {team["team_id"] for team in admin.get("teams?limit=1000")} if assignments else set()
    for name, teams in assignments.items():
        for team in teams:
            if team not in known:
                admin.post("teams", {"team_id": team, "team_alias": team})
            admin.post(f"guardrails/{ids[name]}/assign/{team}?priority=10")


def main() -> None:
    admin = aicp_dev.Admin(sys.argv[1], sys.argv[2])
    rules = wanted()
    assignments = rules.pop("assignments", {})
    for path, objects in rules.items():
        known = {item["name"] for item in admin.get(f"{path}?limit=1000")}
        for item in objects:
            if item["name"] not in known:
                admin.post(path, item)
    assign(admin, assignments)


if __name__ == "__main__":
    main()
