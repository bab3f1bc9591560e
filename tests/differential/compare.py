"""Both engines on the same made-up cases. A difference is (subject, ours, the reference's, what it is about)."""

import json
import random
import re
from collections import Counter

import aicp
import cedarpy
from aicp.policy import Entities, PolicySet, Request, Schema, format_policies

from policies import Writer, mutated, mutated_json
from world import World, entity_json

REFUSED = "refused"
_POLICY = re.compile(r"policy `([^`]*)`")


def outcome(answer):
    """In a word, what came out."""
    if not isinstance(answer, tuple):
        return str(answer) if isinstance(answer, bool) or answer is REFUSED else "value"
    allowed, reasons, failed = answer
    return ("allowed" if allowed else "denied by a policy" if reasons else "denied") + (
        " with errors" if failed else ""
    )


def tried(make, *arguments, **named):
    """What it makes, or REFUSED."""
    try:
        return make(*arguments, **named)
    except (aicp.AicpError, ValueError):
        return REFUSED


def accepted(value):
    return value is not REFUSED


class Comparison:
    """Counts cases by subject and keeps the differences."""

    def __init__(self):
        self.cases, self.outcomes, self.differences = Counter(), Counter(), []

    def same(self, subject, ours, theirs, *about):
        self.cases[subject] += 1
        self.outcomes[subject, outcome(ours)] += 1
        if ours != theirs:
            self.differences.append((subject, ours, theirs, *about))
        return ours == theirs

    # ------------------------------------------------------------------ one world

    def world(self, seed):
        """All subjects on one made-up schema with a few sets, stores and requests."""
        rng = random.Random(seed)
        world = World(rng)
        text = world.schema_text()
        schema, their_schema = tried(Schema, text), tried(cedarpy.Schema.from_str, text)
        self.same("schema", accepted(schema), accepted(their_schema), seed, text)
        if schema is REFUSED or their_schema is REFUSED:
            schema = their_schema = None
        else:
            said = str(their_schema)
            self.same("schema as json", str(tried(cedarpy.Schema.from_json_str, schema.to_json())), said, seed, text)
            self.same("schema as text", str(tried(cedarpy.Schema.from_str, schema.to_cedar())), said, seed, text)
        bad = rng.choice((0.0, 0.0, 0.02, 0.1))
        stores = world.store(bad), world.store()
        requests = [world.request(rng.choice((0.0, 0.05, 0.2))) for _ in range(20)]
        for wild in (0.0, rng.choice((0.0, 0.05))):
            written, slots = Writer(world, wild).policies()
            links = self._links(world, slots)
            sets = self._sets(written, links, seed)
            if sets is None:
                continue
            if schema:
                self._validation(written, schema, their_schema, text, seed)
            for store in stores:
                self._authorize(sets, store, requests, (written, links, seed))
                if schema:
                    self._conforming(sets, store, requests, (schema, their_schema), (text, written, links, seed))
            self._malformed(rng, written, text, stores[1], schema and (schema, their_schema), seed)

    @staticmethod
    def _links(world, slots):
        links = []
        for nth, names in enumerate(slots):
            for copy in range(world.rng.randint(0, 2) if names else 0):
                values = {name: world.uid() for name in names}
                links.append({"templateId": f"policy{nth}", "newId": f"link{nth}.{copy}", "values": values})
        return links

    def _sets(self, written, links, seed):
        ours, theirs = tried(PolicySet, written), tried(cedarpy.PolicySet.from_str, written)
        self.same("set", accepted(ours), accepted(theirs), seed, written)
        if ours is REFUSED or theirs is REFUSED:
            return None
        if links:
            ours = ours.link(
                [{**one, "values": {k: entity_json(v) for k, v in one["values"].items()}} for one in links]
            )
            theirs = theirs.with_linked_batch(
                [
                    {
                        "template_id": one["templateId"],
                        "new_id": one["newId"],
                        "values": {k: entity_json(v) for k, v in one["values"].items()},
                    }
                    for one in links
                ]
            )
        self._forms(written, seed)
        return ours, theirs

    # ------------------------------------------------------------------ subjects

    def _forms(self, written, seed):
        """The text as JSON, the JSON as text, and the laid-out text, each against the reference's reading of it."""
        ours = PolicySet(written).write("json")
        theirs = cedarpy.policies_to_json_str(written)
        self.same("json", ordered(ours), ordered(theirs), seed, written)
        back = tried(cedarpy.policies_from_json_str, ours)
        self.same("json read", accepted(tried(PolicySet, theirs)), accepted(back), seed, written)
        self.same("text", ordered(again(ours)), ordered(theirs), seed, written)
        laid_out = format_policies(written)
        self.same("layout", meaning(laid_out), meaning(written), seed, written)
        self.same("layout again", format_policies(laid_out), laid_out, seed, written)
        self.same(
            "layout of theirs",
            meaning_of_ours(cedarpy.format_policies(written)),
            meaning_of_ours(written),
            seed,
            written,
        )

    def _validation(self, written, schema, their_schema, text, seed):
        ours = PolicySet(written).validate(schema)
        theirs = cedarpy.validate_policies(written, their_schema)
        found = sorted({f.policy for f in ours.errors})
        expected = sorted({e.policy_id for e in theirs.errors})
        self.same("validation", ours.passed, theirs.validation_passed, seed, text, written)
        self.same("validation by policy", found, expected, seed, text, written)

    def _authorize(self, sets, store, requests, about):
        ours, theirs = tried(Entities, store), tried(cedarpy.Entities.from_json_str, store)
        self.same("entities", accepted(ours), accepted(theirs), store, *about)
        if ours is REFUSED or theirs is REFUSED:
            return
        answers = cedarpy.is_authorized_batch(list(map(their_request, requests)), sets[1], theirs)
        for request, answer in zip(requests, answers):
            self.same("request", our_answer(sets[0], ours, request, None), their_answer(answer), request, store, *about)

    def _conforming(self, sets, store, requests, schemas, about):
        ours = tried(Entities, store, schema=schemas[0])
        theirs = tried(cedarpy.Entities.from_json_str, store, schemas[1])
        self.same("entities with schema", accepted(ours), accepted(theirs), store, *about)
        if ours is REFUSED or theirs is REFUSED:
            return
        answers = cedarpy.is_authorized_batch(list(map(their_request, requests)), sets[1], theirs, schemas[1])
        for request, answer in zip(requests, answers):
            self.same(
                "request with schema",
                our_answer(sets[0], ours, request, schemas[0]),
                their_answer(answer),
                request,
                store,
                *about,
            )

    def _malformed(self, rng, written, schema, store, schemas, seed):
        lines = [line for line in written.split("\n") if line.startswith(("permit", "forbid"))]
        for _ in range(10):
            text = mutated(rng, rng.choice(lines))
            ours, theirs = tried(PolicySet, text), tried(cedarpy.PolicySet.from_str, text)
            if self.same("malformed", accepted(ours), accepted(theirs), seed, text) and accepted(ours):
                self.same("mutated", ordered(ours.write("json")), meaning(text), seed, text)
            text = json.dumps(mutated_json(rng, json.loads(cedarpy.policies_to_json_str(rng.choice(lines)))))
            ours, theirs = tried(PolicySet, text), tried(cedarpy.PolicySet.from_json_str, text)
            if not looser(ours, theirs, text):
                self.same("malformed json", accepted(ours), accepted(theirs), seed, text)
        for _ in range(10):
            text = json.dumps(mutated_json(rng, json.loads(store)))
            if is_lax(json.loads(text)):
                continue
            for name, ours, theirs in (
                ("malformed entities", None, None),
                ("malformed entities with schema", *(schemas or (None, None))),
            ):
                self.same(
                    name,
                    accepted(tried(Entities, text, schema=ours)),
                    accepted(tried(cedarpy.Entities.from_json_str, text, theirs)),
                    seed,
                    schema,
                    text,
                )
        for _ in range(3):
            text = mutated(rng, schema)
            ours, theirs = tried(Schema, text), tried(cedarpy.Schema.from_str, text)
            if self.same("malformed schema", accepted(ours), accepted(theirs), seed, text) and accepted(ours):
                self._validation(written, ours, theirs, text, seed)


def looser(ours, theirs, text):
    """Whether one of them takes JSON on purpose that the other refuses. Ours takes a set without one of its three
    members. The reference takes templates without a slot, calls that its own text form cannot say, and what is_lax()
    tells of."""
    tree = json.loads(text)
    if accepted(ours):
        return not accepted(theirs) and not {"staticPolicies", "templates", "templateLinks"} <= tree.keys()
    if not accepted(theirs):
        return False
    slots = {template["id"]: template["slots"] for template in theirs.templates()}
    if not all(map(slots.get, tree["templates"])):
        return True
    for id, names in slots.items():  # for only links are in the text
        theirs = theirs.with_linked(id, f"link of {id}", {name: 'User::"a"' for name in names})
    return is_lax(tree) or not accepted(tried(cedarpy.PolicySet.from_str, str(theirs)))


def is_lax(node):
    """Whether there is an escape that is not well-formed, which the reference takes for a record, a scope of
    everything with something beside it, which the reference passes over, or null for something left out."""
    if isinstance(node, list):
        return any(map(is_lax, node))
    if not isinstance(node, dict):
        return False
    if node.get("op") == "All" and len(node) > 1 or node.get("in", "absent") is None:
        return True
    return any(key in node and not is_escape(key, node[key]) for key in ("__entity", "__extn", "__expr")) or any(
        map(is_lax, node.values())
    )


def is_escape(key, node):
    if not isinstance(node, dict):
        return False
    if key == "__entity":
        return isinstance(node.get("type"), str) and isinstance(node.get("id"), str)
    called = "arg" in node or isinstance(node.get("args"), list)
    return key == "__extn" and isinstance(node.get("fn"), str) and called


def ordered(text):
    """A set's JSON with one form for what has two: an action out of a list of one is in that one, an annotation
    without a value has the empty one, and `has a.b`, which 4.12 takes apart and 4.14 writes as a list, is apart."""
    policies = json.loads(text, object_hook=apart)
    for policy in (*policies["staticPolicies"].values(), *policies["templates"].values()):
        if len(policy["action"].get("entities", ())) == 1:
            policy["action"] = {"op": "in", "entity": policy["action"]["entities"][0]}
        for key, value in policy.get("annotations", {}).items():
            policy["annotations"][key] = value or ""
    return policies


def apart(node):
    """{"has": {"left": …, "attr": ["a", "b"]}} as `… has a && ….a has b`."""
    attrs = node.get("has", {}).get("attr") if isinstance(node.get("has"), dict) else None
    if not isinstance(attrs, list):
        return node
    whole, left = None, node["has"]["left"]
    for attr in attrs:
        one = {"has": {"left": left, "attr": attr}}
        whole = {"&&": {"left": whole, "right": one}} if whole else one
        left = {".": {"left": left, "attr": attr}}
    return whole


def again(text):
    """A set's JSON with each policy replaced by what the reference reads in the text that ours makes of it."""
    ours, policies = PolicySet(text), json.loads(text)
    for kind, which in (("staticPolicies", "policy"), ("templates", "template")):
        for id in policies[kind]:
            one = json.loads(cedarpy.policies_to_json_str(ours.write("cedar", **{which: id})))
            policies[kind][id] = one[kind]["policy0"]
    return json.dumps(policies)


def meaning(text):
    """What the reference reads in a text."""
    return ordered(cedarpy.policies_to_json_str(text))


def meaning_of_ours(text):
    return ordered(PolicySet(text).write("json"))


def their_request(request):
    principal, action, resource, context = request
    return {
        "principal": entity_json(principal),
        "action": entity_json(action),
        "resource": entity_json(resource),
        "context": json.dumps(context),
    }


def their_answer(answer):
    if answer.decision == cedarpy.Decision.NoDecision:
        return REFUSED
    failed = sorted(_POLICY.search(e).group(1) for e in answer.diagnostics.errors)
    return answer.allowed, sorted(answer.diagnostics.reasons), failed


def our_answer(policies, entities, request, schema):
    try:
        question = Request(*request[:3], json.dumps(request[3]), schema=schema)
        if schema:
            question.check()
    except aicp.AicpError:
        return REFUSED
    answer = question.authorize(policies, entities)
    return answer.allowed, sorted(answer.reasons), sorted(e.policy for e in answer.errors)
