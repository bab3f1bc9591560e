"""Made-up schemas, and entities and requests that mostly conform to them. All comes from the seed.

Types are tuples: ("Long",), ("String",), ("Bool",), ("Set", T), ("Record", ((name, T, required), …)),
("Entity", name), and the extensions ("decimal",), ("ipaddr",), ("datetime",), ("duration",).
"""

import json
import random

LONG, STRING, BOOL = ("Long",), ("String",), ("Bool",)
DECIMAL, IP, DATETIME, DURATION = ("decimal",), ("ipaddr",), ("datetime",), ("duration",)
SCALARS = (LONG, LONG, STRING, STRING, BOOL, BOOL, DECIMAL, IP, DATETIME, DURATION)
EXTENSIONS = {"decimal": "decimal", "ipaddr": "ip", "datetime": "datetime", "duration": "duration"}

LONGS = (0, 1, -1, 2, 3, 7, 42, 1000, 2**62, -(2**62), 2**63 - 1, -(2**63))
STRINGS = ("", "a", "ab", "abc", "*", "a*b", "é", "\n", 'q"q', "back\\slash", "tail\0", "10.0.0.1", "x y", "日本")
NAMES = ("a", "b", "name", "level", "owner", "if", "is in", "permit", "context", "_x1", "0", "ü")
IDS = ("e0", "e1", "e2", "e3", "with space", 'q"', "ü", "")
TEXTS = {
    "decimal": ("0.0", "1.5", "-1.50", "1.5000", "922337203685477.5807", "-922337203685477.5808", "0.0001"),
    "ipaddr": (
        "10.0.0.1",
        "10.0.0.0/8",
        "10.1.2.3/16",
        "127.0.0.1",
        "::1",
        "ff00::/8",
        "224.0.0.1",
        "fe80::1/64",
        "0.0.0.0/0",
        "::ffff:7f00:1",
        "::/0",
    ),
    "datetime": (
        "1970-01-01",
        "2024-02-29",
        "1969-12-31T23:59:59.999Z",
        "2024-10-15T11:38:02.101+0130",
        "9999-12-31T23:59:59Z",
        "0000-01-01",
        "2000-01-01T00:00:00-2359",
    ),
    "duration": ("0ms", "1d", "24h", "-1h30m", "1d2h3m4s5ms", "9223372036854775807ms", "-9223372036854775808ms", "90m"),
}
BAD_TEXTS = {
    "decimal": ("", "1", "1.", ".5", "1.00000", "+1.0", "1e3", " 1.0", "922337203685477.5808", "-.1", "1.0.0", "١.0"),
    "ipaddr": (
        "",
        "10.0.0",
        "10.0.0.256",
        "010.0.0.1",
        "10.0.0.1/33",
        "10.0.0.1/08",
        "::1/129",
        "::1%eth0",
        "[::1]",
        "1::2::3",
        "::ffff:1.2.3.4",
        "10.0.0.1/",
        "10.0.0.1/-1",
        ":::",
    ),
    "datetime": (
        "",
        "2024-1-1",
        "2023-02-29",
        "2024-01-01T00:00:00",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:60Z",
        "2024-01-01t00:00:00Z",
        "2024-01-01T00:00:00.1Z",
        "2024-01-01T00:00:00+2400",
        "2024-01-01T00:00:00+01:00",
        "10000-01-01",
        "2024-13-01",
        "1900-02-29",
    ),
    "duration": (
        "",
        "-",
        "0",
        "1",
        "1x",
        "1m1h",
        "1h1h",
        "9223372036854775808ms",
        "- 1h",
        "+1h",
        "1.5h",
        "106751991168d",
        "18446744073709551616ms",
    ),
}


def quoted(text):
    """A Cedar string literal."""
    escapes = {"\n": "\\n", '"': '\\"', "\\": "\\\\", "\0": "\\0", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(c, c) for c in text) + '"'


def entity_json(uid):
    return {"type": uid[0], "id": uid[1]}


def entity_text(uid):
    return f"{uid[0]}::{quoted(uid[1])}"


class World:
    """One schema with a store of entities and the means to make requests for it."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.namespaces = rng.choice((("",), ("",), ("", "Acme"), ("Acme", "Acme::Deep"), ("", "N1", "N2")))
        self._types()
        self._common()
        for name in self.entities:
            self._entity(name)
        self._actions()

    def chance(self, p):
        return self.rng.random() < p

    def qualified(self, base):
        space = self.rng.choice(self.namespaces)
        return f"{space}::{base}" if space else base

    # ------------------------------------------------------------------ declarations

    def _types(self):
        bases = self.rng.sample(("User", "Group", "Team", "Doc", "Folder", "Org", "Model"), self.rng.randint(2, 5))
        self.entities = {self.qualified(base): {} for base in bases}
        names = ("Color", "Tier")[: self.rng.choice((0, 1, 1, 2))]
        self.enums = {
            self.qualified(n): self.rng.sample(("red", "green", "e0", "e1"), self.rng.randint(1, 3)) for n in names
        }

    def _common(self):
        self.common = {}
        for base in ("Address", "Labels", "Score")[: self.rng.randint(0, 3)]:
            record = base == "Address" or self.chance(0.3)
            self.common[self.qualified(base)] = self.record(2) if record else self.type(2)

    def _entity(self, name):
        others = list(self.entities) + list(self.enums)
        self.entities[name] = {
            "parents": self.rng.sample(others, self.rng.randint(0, min(3, len(others)))),
            "shape": self.record(2),
            "tags": self.type(1) if self.chance(0.4) else None,
        }

    def _actions(self):
        self.actions = {}
        for base in ("view", "edit", "delete it", "share", "act")[: self.rng.randint(1, 5)]:
            space = self.rng.choice(self.namespaces)
            uid = (f"{space}::Action" if space else "Action", base)
            kinds = list(self.entities) + list(self.enums)
            self.actions[uid] = {
                "parents": self.rng.sample(list(self.actions), min(len(self.actions), self.rng.randint(0, 2))),
                "principals": self.rng.sample(kinds, self.rng.randint(1, min(2, len(kinds)))),
                "resources": self.rng.sample(kinds, self.rng.randint(1, min(2, len(kinds)))),
                "context": self.record(2),
            }
            if len(self.actions) > 1 and self.chance(0.15):
                self.actions[uid].update(principals=[], resources=[])

    def record(self, depth):
        names = self.rng.sample(NAMES, self.rng.randint(0, 5))
        return ("Record", tuple((n, self.type(depth - 1), self.chance(0.7)) for n in names))

    def type(self, depth):
        if self.common and self.chance(0.15):
            return self.rng.choice(list(self.common.values()))
        if depth <= 0 or self.chance(0.45):
            return self.rng.choice(SCALARS)
        kind = self.rng.choice(("Set", "Set", "Record", "Entity", "Entity"))
        if kind == "Set":
            return ("Set", self.type(depth - 1))
        return self.record(depth) if kind == "Record" else ("Entity", self.kind())

    def kind(self):
        return self.rng.choice(list(self.entities) + list(self.enums))

    # ------------------------------------------------------------------ the schema as text

    def schema_text(self):
        out = []
        for space in self.namespaces:
            inner = [
                f"type {self._base(n)} = {self.type_text(t, alias=False)};"
                for n, t in self.common.items()
                if self._space(n) == space
            ]
            inner += [self._entity_text(n) for n in self.entities if self._space(n) == space]
            inner += [
                f"entity {self._base(n)} enum [{', '.join(map(quoted, ids))}];"
                for n, ids in self.enums.items()
                if self._space(n) == space
            ]
            inner += [self._action_text(uid) for uid in self.actions if self._space(uid[0]) == space]
            out += [f"namespace {space} {{", *inner, "}"] if space else inner
        return "\n".join(out)

    @staticmethod
    def _space(name):
        return name.rpartition("::")[0]

    @staticmethod
    def _base(name):
        return name.rpartition("::")[2]

    def _entity_text(self, name):
        entity = self.entities[name]
        parents = f" in [{', '.join(entity['parents'])}]" if entity["parents"] else ""
        tags = f" tags {self.type_text(entity['tags'])}" if entity["tags"] else ""
        return f"entity {self._base(name)}{parents} = {self.type_text(entity['shape'], alias=False)}{tags};"

    def _action_text(self, uid):
        action = self.actions[uid]
        parents = f" in [{', '.join(map(entity_text, action['parents']))}]" if action["parents"] else ""
        applies = ""
        if action["principals"]:
            applies = (
                f" appliesTo {{ principal: [{', '.join(action['principals'])}], resource: [{', '.join(action['resources'])}],"
                f" context: {self.type_text(action['context'], alias=False)} }}"
            )
        return f"action {quoted(uid[1])}{parents}{applies};"

    def type_text(self, type, alias=True):
        if alias:
            for name, common in self.common.items():
                if common == type:
                    return name
        if type[0] == "Record":
            fields = (f"{quoted(n)}{'' if req else '?'}: {self.type_text(t)}" for n, t, req in type[1])
            return "{" + ", ".join(fields) + "}"
        if type[0] == "Set":
            return f"Set<{self.type_text(type[1])}>"
        return type[1] if type[0] == "Entity" else type[0]

    # ------------------------------------------------------------------ data

    def uid(self, kind=None):
        kind = kind or (self.kind() if self.chance(0.97) else "Stranger")
        if kind in self.enums and self.chance(0.95):
            return (kind, self.rng.choice(self.enums[kind]))
        return (kind, self.rng.choice(IDS[:4] if self.chance(0.85) else IDS))

    def value(self, type, bad=0.0):
        """A value of the type as JSON; with the chance `bad` something in it does not conform."""
        if self.chance(bad):
            return self.rng.choice(
                (
                    1,
                    True,
                    "text",
                    [],
                    [1, "a"],
                    {},
                    {"a": 1},
                    None,
                    1.5,
                    2**63,
                    {"__entity": {"type": "User", "id": "e0"}},
                    {"__extn": {"fn": "decimal", "arg": "1"}},
                    {"__extn": {"fn": "ip", "arg": "::1"}},
                    {"__expr": "1"},
                )
            )
        kind = type[0]
        if kind == "Long":
            return self.rng.choice(LONGS)
        if kind == "String":
            return self.rng.choice(STRINGS)
        if kind == "Bool":
            return self.chance(0.5)
        if kind == "Set":
            return [self.value(type[1], bad) for _ in range(self.rng.randint(0, 3))]
        if kind == "Record":
            return {n: self.value(t, bad) for n, t, required in type[1] if required or self.chance(0.6)}
        if kind == "Entity":
            uid = entity_json(self.uid(type[1]))
            return uid if self.chance(bad) else {"__entity": uid}
        text = self.rng.choice(BAD_TEXTS[kind] if self.chance(bad) else TEXTS[kind])
        if self.chance(bad):
            return self.rng.choice((text, {"fn": EXTENSIONS[kind], "arg": text}))
        return {"__extn": {"fn": EXTENSIONS[kind], "arg": text}}

    def store(self, bad=0.0):
        """Entities as JSON."""
        found = []
        for name, entity in self.entities.items():
            for i, id in enumerate(IDS[: self.rng.randint(0, 5)]):
                found.append(self._stored((name, id), i, entity, bad))
        for name, ids in self.enums.items():
            if self.chance(0.5):
                found.append({"uid": entity_json((name, self.rng.choice(ids))), "attrs": {}, "parents": []})
        if bad and found and self.chance(0.1):
            found.append(self.rng.choice(found))
        self.rng.shuffle(found)
        return json.dumps(found)

    def _stored(self, uid, nth, entity, bad):
        parents = []
        for _ in range(self.rng.randint(0, 3) if entity["parents"] else 0):
            kind = self.rng.choice(entity["parents"])
            # Without a cycle: up in the order of the types, or of the ids.
            if self._above(kind, uid[0]):
                parents.append(self.uid(kind))
            elif kind == uid[0] and nth < 3:
                parents.append((kind, self.rng.choice(IDS[nth + 1 : 5])))
        if self.chance(bad):
            parents.append(self.uid())
        attrs = self.value(entity["shape"], bad)
        if self.chance(bad) and isinstance(attrs, dict):
            attrs[self.rng.choice(NAMES)] = self.value(self.type(1))
        one = {"uid": entity_json(uid), "attrs": attrs, "parents": [entity_json(p) for p in parents]}
        if self.chance(0.5 if entity["tags"] else bad):
            keys = self.rng.sample(NAMES, self.rng.randint(0, 3))
            one["tags"] = {k: self.value(entity["tags"] or LONG, bad) for k in keys}
        return one

    def _above(self, kind, of):
        order = list(self.entities) + list(self.enums)
        return order.index(kind) > order.index(of)

    def request(self, bad=0.0):
        """A request: (principal, action, resource, context)."""
        able = [uid for uid, action in self.actions.items() if action["principals"]] or list(self.actions)
        action = self.rng.choice(able)
        declared = self.actions[action]
        principal = self.uid(self.rng.choice(declared["principals"] or [None]) if not self.chance(bad) else None)
        resource = self.uid(self.rng.choice(declared["resources"] or [None]) if not self.chance(bad) else None)
        context = self.value(declared["context"], bad)
        if self.chance(bad) and isinstance(context, dict):
            context[self.rng.choice(NAMES)] = self.value(self.type(1))
        if self.chance(bad):
            action = (action[0], "unknown")
        return principal, action, resource, context
