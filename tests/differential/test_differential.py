"""Our Cedar engine beside a released one, on made-up schemas, policies, entities and requests.

`AICP_DIFFERENTIAL_WORLDS` is the number of schemas, each with two sets and two stores; `AICP_DIFFERENTIAL_FIRST`
the first seed. A failure names the seed: `Comparison().world(seed)` alone shows it again.

The reference is crate 4.12. Where the two differ on purpose, `compare.ordered`, `compare.looser` and the second half
of this file say so.
"""

import json
import os

import aicp
import cedarpy
import pytest
from aicp.policy import PolicySet, Schema

from compare import Comparison

WORLDS = int(os.environ.get("AICP_DIFFERENTIAL_WORLDS", 5000 if os.environ.get("AICP_TEST_FULL") else 400))
FIRST = int(os.environ.get("AICP_DIFFERENTIAL_FIRST", 0))
AT_ONCE = 50

SCHEMA = "entity A; action go appliesTo { principal: A, resource: A }; action group;"


@pytest.mark.parametrize("first", range(FIRST, FIRST + WORLDS, AT_ONCE))
def test_made_up_worlds_are_judged_alike(first):
    comparison = Comparison()
    for seed in range(first, first + AT_ONCE):
        comparison.world(seed)
    shown = "\n\n".join("\n".join(str(part)[:3000] for part in found) for found in comparison.differences[:3])
    assert not comparison.differences, f"{len(comparison.differences)} differences\n{shown}"


def test_made_up_worlds_have_every_outcome():
    comparison = Comparison()
    for seed in range(FIRST, FIRST + AT_ONCE):
        comparison.world(seed)
    for subject in (
        "validation",
        "entities",
        "entities with schema",
        "malformed",
        "malformed schema",
        "malformed json",
        "malformed entities",
        "malformed entities with schema",
    ):
        assert min(comparison.outcomes[subject, "True"], comparison.outcomes[subject, "False"]) > 0, subject
    for subject in ("request", "request with schema"):
        for outcome in ("allowed", "denied", "denied by a policy", "allowed with errors", "refused"):
            assert comparison.outcomes[subject, outcome] > 0, (subject, outcome)


def test_a_difference_is_noticed():
    comparison = Comparison()
    comparison.same("subject", True, False, "about")
    assert comparison.differences == [("subject", True, False, "about")]


# ---------------------------------------------------------------------- where the two differ


def test_policies_that_no_request_can_match_are_errors_until_4_14():
    text = 'permit(principal, action == Action::"group", resource);'
    assert not cedarpy.validate_policies(text, SCHEMA).validation_passed
    assert not PolicySet(text).validate(Schema(SCHEMA)).passed
    assert PolicySet(text).validate(Schema(SCHEMA), inapplicable_warns=True).passed


@pytest.mark.parametrize(
    "text, place, ours, theirs",
    [
        ("@note permit(principal, action, resource);", ("annotations", "note"), "", None),
        (
            'permit(principal, action in [Action::"go"], resource);',
            ("action",),
            {"op": "in", "entities": [{"type": "Action", "id": "go"}]},
            {"op": "in", "entity": {"type": "Action", "id": "go"}},
        ),
        (
            "permit(principal, action, resource) when { context has a.b };",
            ("conditions", 0, "body"),
            {"has": {"left": {"Var": "context"}, "attr": ["a", "b"]}},
            {
                "&&": {
                    "left": {"has": {"left": {"Var": "context"}, "attr": "a"}},
                    "right": {"has": {"left": {".": {"left": {"Var": "context"}, "attr": "a"}}, "attr": "b"}},
                }
            },
        ),
    ],
)
def test_forms_of_json_that_mean_the_same(text, place, ours, theirs):
    def at(policies):
        node = json.loads(policies)["staticPolicies"]["policy0"]
        for step in place:
            node = node[step]
        return node

    assert at(PolicySet(text).write("json")) == ours
    assert at(cedarpy.policies_to_json_str(text)) == theirs


def a_set(principal=None, body=True, templates=None):
    policy = {
        "effect": "permit",
        "principal": principal or {"op": "All"},
        "action": {"op": "All"},
        "resource": {"op": "All"},
        "conditions": [{"kind": "when", "body": {"Value": body}}],
    }
    return {"staticPolicies": {"p": policy}, "templates": {"t": policy} if templates else {}, "templateLinks": []}


@pytest.mark.parametrize(
    "policies",
    [
        a_set(body={"__entity": {"type": "A"}}),  # a record with a key that JSON keeps for entities
        a_set(body={"__extn": {"fn": "ip"}}),
        a_set(body={"__extn": {"fn": "unheard_of", "arg": "1"}}),  # a call of what there is not
        a_set(principal={"op": "All", "entity": {"type": "A", "id": "only me"}}),  # everybody
        a_set(principal={"op": "is", "entity_type": "A", "in": None}),
        a_set(templates=True),  # a template without a slot
    ],
)
def test_json_that_says_less_or_more_than_was_meant_is_refused_by_ours_alone(policies):
    text = json.dumps(policies)
    cedarpy.PolicySet.from_json_str(text)
    with pytest.raises(aicp.AicpError):
        PolicySet(text)


def test_a_set_in_json_may_do_without_what_it_has_not_in_ours_alone():
    text = json.dumps({"staticPolicies": a_set()["staticPolicies"]})
    with pytest.raises(ValueError):
        cedarpy.PolicySet.from_json_str(text)
    assert len(PolicySet(text)) == 1
