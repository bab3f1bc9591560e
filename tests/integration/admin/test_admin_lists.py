"""What every list and object of the API does alike: pages, order, filters, ETags, idempotency, CSV."""

import csv
import io
import threading

import aicp_dev
import pytest
from admin_server import fields_at_fault, next_page


@pytest.fixture(scope="module")
def limits(admin):
    """25 rate limits of one team name, in five priorities."""
    team = aicp_dev.unique("lists")
    rows = [
        admin.post(
            "rate-limits",
            {"name": f"{team}-{n:02}", "scope": "team", "scope_value": team, "rpm_limit": n, "priority": n % 5},
        )
        for n in range(25)
    ]
    yield team, rows
    for row in rows:
        admin.delete(f"rate-limits/{row['id']}")


def test_pages_by_cursor_give_each_row_once(admin, limits):
    team, rows = limits
    for sort in ("name", "-priority,name", "priority", "-rpm_limit", "created_at"):
        path, seen = f"rate-limits?scope_value={team}&limit=7&sort={sort}", []
        while path:
            answer = admin.call("GET", path)
            assert answer.status == 200 and answer.headers["x-total-count"] == "25", answer.text
            seen += answer.body
            path = next_page(answer)
        assert sorted(row["id"] for row in seen) == sorted(row["id"] for row in rows), sort
        if sort == "-priority,name":
            assert [r["name"] for r in seen] == [
                r["name"] for r in sorted(rows, key=lambda r: (-r["priority"], r["name"]))
            ]


def test_a_cursor_holds_while_rows_come_and_go(admin, limits, made):
    team, _ = limits
    first = admin.call("GET", f"rate-limits?scope_value={team}&limit=10&sort=name")
    made("rate-limits", name=f"{team}-00a", scope="team", scope_value=team, rpm_limit=1)
    second = admin.call("GET", next_page(first))
    assert [row["name"] for row in second.body] == [f"{team}-{n}" for n in range(10, 20)]


def test_pages_by_offset(admin, limits):
    team, _ = limits
    page = admin.call("GET", f"rate-limits?scope_value={team}&limit=10&offset=20&sort=name")
    assert [row["name"] for row in page.body] == [f"{team}-{n}" for n in range(20, 25)]
    assert page.headers["x-total-count"] == "25"
    assert admin.get(f"rate-limits?scope_value={team}&offset=100") == []


def test_filters(admin, limits):
    team, _ = limits

    def count(query: str) -> int:
        return len(admin.get(f"rate-limits?scope_value={team}&{query}"))

    assert count("priority=3") == 5 and count("priority=3&priority=4") == 10
    assert count("rpm_limit.gte=20") == 5 and count("rpm_limit.gt=20") == 4
    assert count("rpm_limit.lt=5&priority=0") == 1 and count("rpm_limit.lte=5&priority=0") == 2
    assert count("tpm_limit.null=true") == 25 and count("tpm_limit.null=false") == 0
    assert count("is_active=true") == 25 and count("is_active=false") == 0
    assert count(f"q={team[-8:].upper()}-0") == 10
    assert count("scope=team&scope=user") == 25 and count("scope=user") == 0


def test_facets_count_under_the_same_filters(admin, limits):
    team, _ = limits
    facets = admin.get(f"rate-limits/facets?fields=scope,is_active&scope_value={team}&priority=1")
    assert facets == {"scope": [{"value": "team", "count": 5}], "is_active": [{"value": True, "count": 5}]}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=-1", "limit=x", "limit=1001", "offset=-1", "offset=1e3", "cursor=garbage", "cursor=",
        "sort=nosuch", "sort=name,", "priority=x", "rpm_limit.gte=x", "rpm_limit.null=maybe", "is_active=7",
        "scope=planet", "unknown=1", "name.gt=x", "format=xml", "created_at.gte=yesterday", "q=%FF",
    ],
)
def test_a_wrong_query_is_refused(admin, query):
    answer = admin.call("GET", f"rate-limits?{query}")
    assert answer.status == 422, (query, answer.text)


def test_csv_has_all_rows_and_no_formula(admin, limits, made):
    team, rows = limits
    made("rate-limits", name='=HYPERLINK("x";"y")', description='+1,\n"two"', scope="team", scope_value=team, rpm_limit=1)
    answer = admin.call("GET", f"rate-limits?scope_value={team}&format=csv&sort=name")
    assert answer.headers["content-type"].startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(table) == 26
    assert table[0]["name"] == '\'=HYPERLINK("x";"y")' and table[0]["description"].startswith("'+1,\n")
    assert [row["rpm_limit"] for row in table[1:]] == [str(row["rpm_limit"]) for row in rows]


def test_an_update_that_would_be_lost_is_refused(admin, limits):
    path = f"rate-limits/{limits[1][0]['id']}"
    first = admin.call("GET", path)
    etag = first.headers["etag"]
    assert admin.call("GET", path, headers={"If-None-Match": etag}).status == 304
    assert admin.call("PUT", path, {"description": "a"}, {"If-Match": etag}).status == 200
    assert admin.call("PUT", path, {"description": "b"}, {"If-Match": etag}).status == 412
    assert admin.call("DELETE", path, headers={"If-Match": etag}).status == 412
    assert admin.call("GET", path, headers={"If-None-Match": etag}).body["description"] == "a"


def test_of_concurrent_updates_with_one_etag_one_wins(admin, limits):
    path = f"rate-limits/{limits[1][1]['id']}"
    etag = admin.call("GET", path).headers["etag"]
    answers = []

    def change(n: int) -> None:
        answers.append(admin.call("PUT", path, {"description": f"writer {n}"}, {"If-Match": etag}).status)

    run_together(change, 8)
    assert sorted(answers) == [200] + 7 * [412]


def run_together(what, count: int) -> None:
    threads = [threading.Thread(target=what, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_post_with_an_idempotency_key_has_one_effect(admin):
    body = {"name": aicp_dev.unique("once"), "scope": "global", "rpm_limit": 1000}
    key = {"Idempotency-Key": aicp_dev.unique("key")}
    answers = []
    run_together(lambda _: answers.append(admin.call("POST", "rate-limits", body, key)), 6)
    assert {answer.status for answer in answers} == {200}, [answer.text for answer in answers]
    assert len({answer.body["id"] for answer in answers}) == 1
    assert len(admin.get(f"rate-limits?name={body['name']}")) == 1
    other = admin.call("POST", "rate-limits", {**body, "rpm_limit": 2}, key)
    assert other.status in (409, 422)
    admin.delete(f"rate-limits/{answers[0].body['id']}")


def test_what_is_not_there_is_404_whatever_its_id_looks_like(admin):
    for path in ("rate-limits", "policies", "users", "organizations", "ledger/rules", "model-access/tiers"):
        for strange in ("nosuch", "00000000-0000-0000-0000-000000000000", "%27%3B--", "%00", "%FF", "x" * 500):
            answer = admin.call("GET", f"{path}/{strange}")
            assert answer.status in (400, 404, 422), (path, strange, answer.text)
            assert admin.call("PUT", f"{path}/{strange}", {"name": "n"}).status in (400, 404, 422), (path, strange)
            assert admin.call("DELETE", f"{path}/{strange}").status in (400, 404, 422), (path, strange)
    assert admin.call("GET", "no-such-resource").status == 404
    wrong = admin.call("PATCH", "rate-limits", {})
    assert wrong.status == 405 and "GET" in wrong.headers["allow"]


def test_every_field_at_fault_is_told_at_once(admin):
    answer = admin.call("POST", "rate-limits", {"scope": "planet", "rpm_limit": -1})
    assert fields_at_fault(answer) == {"name", "scope", "rpm_limit"}
    assert answer.body["detail"][0]["loc"][0] == "body" and answer.body["request_id"] == answer.headers["x-request-id"]
