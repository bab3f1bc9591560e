"""Organizations, their units, teams and members; who sees what."""

import aicp_dev
from admin_server import fields_at_fault


def named(prefix: str = "it", **fields) -> dict:
    name = aicp_dev.unique(prefix)
    return {"name": name, "slug": name, **fields}


def test_an_organization_from_its_beginning_to_its_end(admin, made, organization):
    org = organization(max_budget="100.5", allowed_models=["gpt-4o*"], metadata={"k": [1]})
    path = f"organizations/{org['id']}"
    assert (org["max_budget"], org["max_budget_decimal"]) == (100.5, "100.5") and org["metadata"] == {"k": [1]}
    unit = admin.post(f"{path}/business-units", named(max_budget=50))
    user = made("users", email=f"{org['slug']}@example.com")
    admin.post(f"{path}/members", {"user_id": user["id"], "role": "org_admin"})
    team = aicp_dev.unique("team")
    assert admin.post(f"{path}/teams/{team}", {"bu_id": unit["id"], "max_budget_override": 20}) == {"status": "assigned"}
    now = admin.get(path)
    assert (now["bu_count"], now["team_count"], now["member_count"]) == (1, 1, 1)
    assert admin.put(path, {"description": "d"})["bu_count"] == 1
    [row] = admin.get(f"{path}/teams")
    assert (row["team_id"], row["bu_id"], row["max_budget_override"]) == (team, unit["id"], 20)
    assert admin.delete(f"{path}/business-units/{unit['id']}") == {"status": "deleted"}
    assert admin.get(f"{path}/teams/{team}")["bu_id"] is None
    assert admin.delete(path) == {"status": "deleted"}
    for gone in ("", "/teams", "/members", "/business-units", f"/teams/{team}"):
        assert admin.call("GET", path + gone).status == 404, gone


def test_names_and_slugs_are_taken_once(admin, organization):
    org = organization()
    assert admin.call("POST", "organizations", named(name=org["name"]) | {"name": org["name"]}).status == 409
    assert admin.call("POST", "organizations", named() | {"slug": org["slug"]}).status == 409
    unit = admin.post(f"organizations/{org['id']}/business-units", named())
    again = admin.call("POST", f"organizations/{org['id']}/business-units", named() | {"slug": unit["slug"]})
    assert again.status == 409
    assert fields_at_fault(admin.call("POST", "organizations", {"name": "n", "slug": "Not A Slug"})) == {"slug"}
    assert "slug" in fields_at_fault(admin.call("POST", "organizations", {"name": "n"}))


def test_a_unit_of_another_organization_is_none_here(admin, organization):
    ours, theirs = organization(), organization()
    unit = admin.post(f"organizations/{theirs['id']}/business-units", named())
    path = f"organizations/{ours['id']}"
    for verb, body in (("GET", None), ("PUT", {"name": "n"}), ("DELETE", None)):
        assert admin.call(verb, f"{path}/business-units/{unit['id']}", body).status == 404, verb
    answer = admin.call("POST", f"{path}/teams/{aicp_dev.unique('t')}", {"bu_id": unit["id"]})
    assert fields_at_fault(answer) == {"bu_id"}


def test_a_child_has_no_more_than_its_parent(admin, organization):
    org = organization(max_budget=10)
    path = f"organizations/{org['id']}"
    assert fields_at_fault(admin.call("POST", f"{path}/business-units", named(max_budget=10.000000001))) == {"max_budget"}
    unit = admin.post(f"{path}/business-units", named(max_budget=5))
    assert fields_at_fault(admin.call("PUT", f"{path}/business-units/{unit['id']}", {"max_budget": 11})) == {"max_budget"}
    team = f"{path}/teams/{aicp_dev.unique('t')}"
    over = {"bu_id": unit["id"], "max_budget_override": 6}
    assert fields_at_fault(admin.call("POST", team, over)) == {"max_budget_override"}
    admin.post(team, {"bu_id": unit["id"], "max_budget_override": 5})


def test_a_team_belongs_to_one_organization(admin, organization):
    first, second, team = organization(), organization(), aicp_dev.unique("t")
    admin.post(f"organizations/{first['id']}/teams/{team}")
    admin.post(f"organizations/{second['id']}/teams/{team}")
    assert admin.get(f"organizations/{first['id']}/teams") == []
    assert admin.delete(f"organizations/{second['id']}/teams/{team}") == {"status": "removed"}
    assert admin.call("DELETE", f"organizations/{second['id']}/teams/{team}").status == 404


def test_an_organization_keeps_its_last_admin(admin, made, organization):
    org = organization()
    path = f"organizations/{org['id']}/members"
    first, second = (made("users", email=f"{aicp_dev.unique('u')}@example.com") for _ in range(2))
    admin.post(path, {"user_id": first["id"], "role": "org_admin"})
    assert admin.call("DELETE", f"{path}/{first['id']}").status == 409
    assert admin.call("PUT", f"{path}/{first['id']}", {"role": "member"}).status == 409
    admin.post(path, {"user_id": second["id"], "role": "org_admin"})
    assert admin.put(f"{path}/{first['id']}", {"role": "member"}) == {"status": "updated"}
    assert admin.delete(f"{path}/{first['id']}") == {"status": "removed"}
    assert admin.call("DELETE", f"{path}/{first['id']}").status == 404


def test_memberships_are_checked(admin, made, organization):
    org = organization()
    path = f"organizations/{org['id']}/members"
    user = made("users", email=f"{aicp_dev.unique('u')}@example.com", display_name="Somebody")
    assert fields_at_fault(admin.call("POST", path, {"user_id": "nobody"})) == {"user_id"}
    assert fields_at_fault(admin.call("POST", path, {"user_id": user["id"], "role": "king"})) == {"role"}
    assert fields_at_fault(admin.call("POST", path, {"user_id": user["id"], "role": "bu_admin"})) == {"bu_id"}
    member = admin.post(path, {"user_id": user["id"]})
    assert member["role"] == "member" and member["email"] == user["email"] and member["display_name"] == "Somebody"
    assert admin.call("POST", path, {"user_id": user["id"]}).status == 409


def test_users_are_found_by_email_once(admin, made):
    user = made("users", email=f"{aicp_dev.unique('u')}@example.com")
    assert admin.get(f"users?email={user['email']}") == [user]
    assert admin.call("POST", "users", {"email": user["email"]}).status == 409
    assert fields_at_fault(admin.call("POST", "users", {"email": "no address"})) == {"email"}


# ---- what somebody with a role in one organization may see and do ----


def test_others_organizations_do_not_exist_for_a_member(admin, organization, member):
    ours, theirs, team = organization(), organization(), aicp_dev.unique("t")
    someone, _ = member(theirs)
    admin.post(f"organizations/{theirs['id']}/business-units", named())
    admin.post(f"organizations/{theirs['id']}/teams/{team}")
    for role in ("viewer", "member", "org_admin"):
        _, session = member(ours, role)
        seen = session.call("GET", "organizations")
        assert [row["id"] for row in seen.body] == [ours["id"]] and seen.headers["x-total-count"] == "1"
        assert theirs["name"] not in session.call("GET", "organizations?format=csv").text
        assert session.get("organizations/facets?fields=is_active") == {"is_active": [{"value": True, "count": 1}]}
        assert session.get(f"organizations?q={theirs['name']}") == []
        for tail in ("", "/business-units", "/teams", "/members", "/business-units/facets?fields=name"):
            answer = session.call("GET", f"organizations/{theirs['id']}{tail}")
            assert answer.status in (404, 422), (role, tail, answer.text)
            if "facets" not in tail:
                assert answer.status == 404
        changes = [
            ("PUT", "", {"description": "mine"}),
            ("DELETE", "", None),
            ("POST", "/business-units", named()),
            ("POST", f"/teams/{aicp_dev.unique('t')}", {}),
            ("POST", "/members", {"user_id": "x"}),
            ("POST", f"/teams/{team}", {}),
            ("DELETE", f"/teams/{team}", None),
            ("PUT", f"/members/{someone['id']}", {"role": "org_admin"}),
            ("DELETE", f"/members/{someone['id']}", None),
        ]
        for verb, tail, body in changes:
            answer = session.call(verb, f"organizations/{theirs['id']}{tail}", body)
            assert answer.status in (403, 404), (role, verb, tail, answer.text)
    assert admin.get(f"organizations/{theirs['id']}")["description"] is None


def test_nothing_can_be_put_into_an_organization_that_is_not_there(admin):
    for tail, body in (("/teams/t", {}), ("/members", {"user_id": "x"}), ("/business-units", named())):
        assert admin.call("POST", f"organizations/nowhere{tail}", body).status == 404, tail


def test_an_admin_of_an_organization_runs_it_and_nothing_else(admin, organization, member):
    org = organization()
    user, session = member(org, "org_admin")
    path = f"organizations/{org['id']}"
    unit = session.post(f"{path}/business-units", named())
    assert session.put(path, {"description": "ours"})["description"] == "ours"
    assert session.call("DELETE", path).status == 403
    assert session.call("POST", f"{path}/teams/{aicp_dev.unique('t')}").status == 403  # it might be anybody's
    team = aicp_dev.unique("t")
    admin.post(f"{path}/teams/{team}")
    assert session.post(f"{path}/teams/{team}", {"bu_id": unit["id"]}) == {"status": "assigned"}
    assert session.call("POST", "organizations", named()).status == 403
    for verb, place, body in [
        ("POST", "policies", {"name": "x", "text": "permit (principal, action, resource);"}),
        ("POST", "rate-limits", {"name": "x", "scope": "global", "rpm_limit": 1}),
        ("POST", "keys/generate", {}),
        ("POST", "teams", {"team_alias": "x"}),
        ("PUT", "settings", {"global_rate_limit": 1}),
        ("POST", "users", {"email": "x@example.com"}),
        ("PUT", f"users/{user['id']}", {"is_platform_admin": True}),
    ]:
        assert session.call(verb, place, body).status == 403, (verb, place)
    entries = session.get("audit-logs?limit=1000")
    assert entries and {entry["org_id"] for entry in entries} == {org["id"]}
    assert any(entry["resource_id"] == unit["id"] for entry in entries)


def test_a_viewer_changes_nothing(organization, member):
    org = organization()
    _, session = member(org, "viewer")
    path = f"organizations/{org['id']}"
    for verb, tail, body in [("PUT", "", {"description": "x"}), ("POST", "/business-units", named()), ("DELETE", "", None)]:
        assert session.call(verb, path + tail, body).status == 403, (verb, tail)
    assert session.call("GET", "audit-logs").status == 403


def test_a_member_sees_the_keys_and_teams_of_his_organization_only(admin, environment, organization, member):
    ours, theirs = organization(), organization()
    teams = {org["id"]: environment.create_team(aicp_dev.unique("team")) for org in (ours, theirs)}
    keys = [environment.create_key(team_id=team) for team in teams.values()] + [environment.create_key()]
    try:
        for org, team in teams.items():
            admin.post(f"organizations/{org}/teams/{team}")
        _, session = member(ours)
        assert [row["team_id"] for row in session.get("teams?limit=1000")] == [teams[ours["id"]]]
        assert {row["team_id"] for row in session.get("keys?limit=1000")} == {teams[ours["id"]]}
        assert session.call("GET", "keys").headers["x-total-count"] == "1"
        assert session.call("GET", f"teams/{teams[ours['id']]}").status == 200
        assert session.call("GET", f"teams/{teams[theirs['id']]}").status == 404
        assert teams[theirs["id"]] not in session.call("GET", "teams?format=csv").text
        assert teams[theirs["id"]] not in session.call("GET", "keys/facets?fields=team_id").text
    finally:
        environment.admin("POST", "/key/delete", {"keys": keys})
        environment.admin("POST", "/team/delete", {"team_ids": list(teams.values())})
