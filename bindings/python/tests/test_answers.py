"""Partial evaluation, filters and explanations of the policy engine."""

import pytest

import aicp


def test_unknown_resources_leave_policies_to_be_asked():
    policies = aicp.PolicySet(
        """permit(principal, action, resource) when { resource.tier == context.tier };
           forbid(principal == User::"eve", action, resource);
           permit(principal, action, resource) when { context.none };"""
    )
    entities = aicp.Entities(
        [
            {"uid": {"type": "Model", "id": id}, "attrs": {"tier": tier}, "parents": []}
            for id, tier in [("small", 1), ("large", 2)]
        ]
    )
    request = aicp.Request(("User", "ann"), ("Action", "chat"), context={"tier": 2})
    partial = request.partial(policies, entities)
    assert partial.allowed is None and [p.id for p in partial.rest] == ["policy0"]
    assert [e.policy for e in partial.errors] == ["policy2"] and partial.reasons == []
    request.unknown("resource", "Model")
    assert request.filter(policies, ["small", "large", "none"], entities) == ["large"]
    request.resource(("Model", "large"))
    assert request.authorize(partial.rest, entities).reasons == ["policy0"]
    request.principal(("User", "eve"))
    request.unknown("resource")
    assert request.partial(policies, entities).allowed is False
    with pytest.raises(aicp.StateError):
        request.filter(policies, ["small"], entities)
    with pytest.raises(KeyError):
        request.unknown("context")


def test_answers_are_explained():
    policies = aicp.PolicySet(
        """permit(principal, action, resource) when { context.n <= 10 };
           permit(principal is Key, action, resource is Key);"""
    )
    request = aicp.Request(("User", "ann"), ("Action", "chat"), ("Model", "m"), {"n": 12})
    told = request.explain(policies)
    assert told["decision"] == "deny" and told["passed_over"] == 1
    (policy,) = told["policies"]
    assert policy["because"]["operands"] == [{"text": "context.n", "value": "12"}]
    (flip,) = policy["flips"]
    assert flip == {"if": "context.n <= 10", "by": "context.n = 10", "decision": "allow"}
    assert len(request.explain(policies, aicp.Entities(), every_policy=True)["policies"]) == 2
