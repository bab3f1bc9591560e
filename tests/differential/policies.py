"""Made-up policies over a world: mostly of the right types, so that they get far, with errors strewn in."""

import json
import re

from world import (
    BAD_TEXTS,
    BOOL,
    DATETIME,
    DECIMAL,
    DURATION,
    EXTENSIONS,
    IDS,
    IP,
    LONG,
    LONGS,
    NAMES,
    SCALARS,
    STRING,
    STRINGS,
    TEXTS,
    entity_text,
    quoted,
)

RESERVED = {"true", "false", "if", "then", "else", "in", "is", "like", "has", "__cedar"}
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*\Z")


def plain(name):
    """Whether a name may stand after a dot."""
    return _IDENTIFIER.match(name) and name not in RESERVED


class Writer:
    """Writes the policies of one set."""

    def __init__(self, world, wild=0.04):
        self.world, self.rng, self.chance = world, world.rng, world.chance
        self.wild = wild  # the chance that an operand has any type instead of the right one

    # ------------------------------------------------------------------ policies

    def policies(self):
        """The text of a set and whether each of its policies is a template: (text, [slots])."""
        count = self.rng.choice((1, 1, 2, 3, 5, 8, 13, 30))
        written = [self.policy() for _ in range(count)]
        return "\n".join(text for text, _ in written), [slots for _, slots in written]

    def policy(self):
        able = [a for a in self.world.actions.values() if a["principals"]] or list(self.world.actions.values())
        action = self.rng.choice(able)
        principal = self.rng.choice(action["principals"] or [self.world.kind()])
        resource = self.rng.choice(action["resources"] or [self.world.kind()])
        slots = []
        scope = ", ".join(
            (self._party("principal", principal, slots), self._action(action), self._party("resource", resource, slots))
        )
        self.roots = [
            ("principal", ("Entity", principal)),
            ("resource", ("Entity", resource)),
            ("context", action["context"]),
        ]
        notes = ""
        if self.chance(0.15):
            value = self.rng.choice(("", '("x")', '("\\u{e9}")'))
            notes = f"@{self.rng.choice(('id', 'if', 'note'))}{value}\n"
        conditions = "".join(
            f" {self.rng.choice(('when', 'when', 'unless'))} {{ {self.expression(BOOL, self.rng.randint(0, 4))} }}"
            for _ in range(self.rng.choice((0, 1, 1, 1, 2)))
        )
        comment = self.rng.choice(("", "", "", "// a comment\n"))
        return f"{comment}{notes}{self.rng.choice(('permit', 'permit', 'forbid'))}({scope}){conditions};", slots

    def _party(self, name, kind, slots):
        def target():
            if self.chance(0.12):
                slots.append("?" + name)
                return "?" + name
            return entity_text(self.world.uid(kind if self.chance(0.6) else None))

        form = self.rng.choice(("any", "any", "any", "==", "in", "in", "is", "is in"))
        if form in ("==", "in"):
            return f"{name} {form} {target()}"
        if form == "any":
            return name
        of = f" in {target()}" if form == "is in" else ""
        return f"{name} is {kind if self.chance(0.8) else self.world.kind()}{of}"

    def _action(self, action):
        uid = next(u for u, a in self.world.actions.items() if a is action)
        others = [uid, *self.rng.sample(list(self.world.actions), self.rng.randint(0, len(self.world.actions)))]
        if self.chance(0.02):
            others.append((uid[0], "unknown"))
        return self.rng.choice(
            (
                "action",
                "action",
                f"action == {entity_text(uid)}",
                f"action in {entity_text(others[-1])}",
                f"action in [{', '.join(map(entity_text, others))}]",
            )
        )

    # ------------------------------------------------------------------ expressions

    def expression(self, type, depth):
        """An expression of the type, in parentheses where it is not a member expression."""
        if self.chance(self.wild):
            type = self.rng.choice((*SCALARS, ("Set", LONG), ("Record", ()), ("Entity", self.world.kind())))
        if depth > 0 and self.chance(0.08):
            guard, then, other = (self.expression(t, depth - 1) for t in (BOOL, type, type))
            return f"(if {guard} then {then} else {other})"
        if self.chance(0.35):
            found = self._path(type)
            if found:
                return found
        if depth > 0 and self.chance(0.05):
            return self._field(type, depth)
        return getattr(self, "_" + type[0].lower())(type, depth)

    def _bool(self, type, depth):
        if depth <= 0:
            return self.rng.choice(("true", "false"))
        return self.rng.choice(
            (
                self._logic,
                self._logic,
                self._compare,
                self._compare,
                self._hierarchy,
                self._sets,
                self._has,
                self._has,
                self._text,
                self._extensions,
                self._tags,
                self._guarded,
            )
        )(depth - 1)

    def _logic(self, depth):
        left, right = self.expression(BOOL, depth), self.expression(BOOL, depth)
        return self.rng.choice(
            (f"({left} && {right})", f"({left} || {right})", f"!{left}", f"!!{left}", f"({left} && {right} || {left})")
        )

    def _compare(self, depth):
        if self.chance(0.4):
            type = self.rng.choice((LONG, LONG, DATETIME, DURATION))
            op = self.rng.choice(("<", "<=", ">", ">="))
        else:
            type, op = self._any(), self.rng.choice(("==", "!="))
        return f"({self.expression(type, depth)} {op} {self.expression(type, depth)})"

    def _any(self):
        found = [t for _, t, _ in self._paths()]
        return self.rng.choice(found) if found and self.chance(0.6) else self.world.type(1)

    def _hierarchy(self, depth):
        left = self.expression(("Entity", self.world.kind()), depth)
        kind = self.world.kind()
        one = self.expression(("Entity", kind), depth)
        return self.rng.choice(
            (
                f"({left} in {one})",
                f"({left} is {kind})",
                f"({left} is {kind} in {one})",
                f"({left} in [{one}, {self.expression(('Entity', kind), depth)}])",
                f"({left} in {self.expression(('Set', ('Entity', kind)), depth)})",
                f"(action in {entity_text(self.rng.choice(list(self.world.actions)))})",
                "(principal == resource)",
            )
        )

    def _sets(self, depth):
        sets = [t for _, t, _ in self._paths() if t[0] == "Set"]
        type = self.rng.choice(sets) if sets and self.chance(0.6) else ("Set", self.world.type(0))
        left = self.expression(type, depth)
        other = self.rng.choice(("containsAll", "containsAny"))
        return self.rng.choice(
            (
                f"{left}.contains({self.expression(type[1], depth)})",
                f"{left}.{other}({self.expression(type, depth)})",
                f"{left}.isEmpty()",
            )
        )

    def _has(self, depth):
        paths = self._paths()
        if not paths or self.chance(0.2):
            name = self.rng.choice(NAMES)
            return f"({self.expression(self._any(), depth)} has {name if plain(name) else quoted(name)})"
        root, names, _ = self.rng.choice(paths)[2]
        if self.chance(0.3) and all(map(plain, names)):
            return f"({root} has {'.'.join(names)})"
        whole = root + "".join(map(self._access, names[:-1]))
        last = names[-1]
        return f"({whole} has {last if plain(last) and self.chance(0.7) else quoted(last)})"

    def _text(self, depth):
        pattern = "".join(
            self.rng.choice(("*", "a", "b", "\\*", "é", "\\u{65e5}", "\\n", "x")) for _ in range(self.rng.randint(0, 4))
        )
        return f'({self.expression(STRING, depth)} like "{pattern}")'

    def _extensions(self, depth):
        if self.chance(0.5):
            method = self.rng.choice(("lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"))
            return f"{self.expression(DECIMAL, depth)}.{method}({self.expression(DECIMAL, depth)})"
        method = self.rng.choice(("isIpv4", "isIpv6", "isLoopback", "isMulticast", "isInRange", "isInRange"))
        of = self.expression(IP, depth) if method == "isInRange" else ""
        return f"{self.expression(IP, depth)}.{method}({of})"

    def _tags(self, depth):
        tagged = [p for p in self._entities() if self.world.entities.get(p[1][1], {}).get("tags")]
        whole, type = self.rng.choice(tagged or self._entities())
        key = quoted(self.rng.choice(NAMES)) if self.chance(0.8) else self.expression(STRING, depth)
        tags = self.world.entities.get(type[1], {}).get("tags") or LONG
        if self.chance(0.4):
            return f"{whole}.hasTag({key})"
        guard = f"{whole}.hasTag({key}) && " if self.chance(0.8) else ""
        return f"({guard}{whole}.getTag({key}) == {self.expression(tags, depth)})"

    def _guarded(self, depth):
        """An optional attribute behind its proof."""
        found = [p for p in self._paths() if p[2][2]]
        if not found:
            return self._compare(depth)
        text, type, (_, _, guards) = self.rng.choice(found)
        proof = " && ".join(f"{whole} has {quoted(name)}" for whole, name in guards)
        use = text if type == BOOL else f"{text} == {self.expression(type, depth)}"
        return self.rng.choice(
            (
                f"({proof} && {use})",
                f"(if {proof} then {use} else {self.expression(BOOL, depth)})",
                f"(!({proof}) || {use})",
                f"({use} && {proof})",
            )
        )

    def _field(self, type, depth):
        """Out of a record that stands there."""
        name = self.rng.choice(NAMES)
        record = "{" + f"{name if plain(name) else quoted(name)}: {self.expression(type, depth - 1)}" + ', "else": 1}'
        return record + self._access(name if self.chance(0.95) else "missing")

    # ------------------------------------------------------------------ what is there

    def _access(self, name):
        return f".{name}" if plain(name) and self.chance(0.8) else f"[{quoted(name)}]"

    def _path(self, type):
        """An attribute of the type that is reached from a variable; now and then an optional one without a proof."""
        found = [p for p in self._paths() if p[1] == type and (not p[2][2] or self.chance(0.08))]
        found += [(w, t, None) for w, t in self._entities() if t == type]
        return self.rng.choice(found)[0] if found else None

    def _entities(self):
        return [(w, t) for w, t in self.roots if t[0] == "Entity"] + [
            (p[0], p[1]) for p in self._paths() if p[1][0] == "Entity"
        ]

    def _paths(self):
        """(text, type, (root, names, [(whole, optional name)])) of every attribute within reach."""
        found, open = [], [(root, type, (root, [], [])) for root, type in self.roots]
        for _ in range(3):
            grown = []
            for whole, type, (root, names, guards) in open:
                for name, inner, required in self._shape(type):
                    proofs = guards if required else [*guards, (whole, name)]
                    grown.append((whole + self._access(name), inner, (root, [*names, name], proofs)))
            found += grown
            open = grown if len(found) < 60 else []
        return found

    def _shape(self, type):
        if type[0] == "Entity":
            entity = self.world.entities.get(type[1])
            return entity["shape"][1] if entity else ()
        return type[1] if type[0] == "Record" else ()

    # ------------------------------------------------------------------ values

    def _long(self, type, depth):
        if depth <= 0 or self.chance(0.3):
            return str(self.rng.choice(LONGS))
        left, right = self.expression(LONG, depth - 1), self.expression(LONG, depth - 1)
        unit = self.rng.choice(("Milliseconds", "Seconds", "Minutes", "Hours", "Days"))
        return self.rng.choice(
            (
                f"({left} + {right})",
                f"({left} - {right})",
                f"({left} * {right})",
                f"(-{left})",
                f"(-(-{left}))",
                f"({left} + {right} * 2 - 1)",
                f"{self.expression(DURATION, depth - 1)}.to{unit}()",
            )
        )

    def _string(self, type, depth):
        return quoted(self.rng.choice(STRINGS))

    def _set(self, type, depth):
        count = self.rng.choice((0, 1, 2, 2, 3)) if self.chance(0.3) else 2
        return "[" + ", ".join(self.expression(type[1], depth - 1) for _ in range(count)) + "]"

    def _record(self, type, depth):
        fields = [
            f"{n if plain(n) and self.chance(0.5) else quoted(n)}: {self.expression(t, depth - 1)}"
            for n, t, required in type[1]
            if required or self.chance(0.5)
        ]
        return "{" + ", ".join(fields) + "}"

    def _entity(self, type, depth):
        return (
            entity_text((type[1], self.rng.choice(IDS))) if self.chance(0.02) else entity_text(self.world.uid(type[1]))
        )

    def _extension(self, type, depth):
        text = self.rng.choice(BAD_TEXTS[type[0]] if self.chance(0.06) else TEXTS[type[0]])
        return f"{EXTENSIONS[type[0]]}({quoted(text)})"

    _decimal = _ipaddr = _extension

    def _datetime(self, type, depth):
        if depth <= 0 or self.chance(0.5):
            return self._extension(type, depth)
        base = self.expression(DATETIME, depth - 1)
        return self.rng.choice((f"{base}.offset({self.expression(DURATION, depth - 1)})", f"{base}.toDate()"))

    def _duration(self, type, depth):
        if depth <= 0 or self.chance(0.5):
            return self._extension(type, depth)
        base = self.expression(DATETIME, depth - 1)
        return self.rng.choice((f"{base}.durationSince({self.expression(DATETIME, depth - 1)})", f"{base}.toTime()"))


# ---------------------------------------------------------------------- malformed texts

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|[\w?]+|::|[=!<>]=|&&|\|\||\s+|.', re.S)
_STRAY = (
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ";",
    ".",
    "::",
    "==",
    "=",
    "!",
    "-",
    "*",
    "+",
    "/",
    "%",
    "<",
    "&&",
    "&",
    "|",
    "||",
    "@",
    "?",
    "?principal",
    "?resource",
    "?x",
    '"x"',
    '"\\x7f"',
    '"\\x80"',
    '"\\u{110000}"',
    '"\\*"',
    '"\\q"',
    "'",
    '"',
    "1",
    "9223372036854775808",
    "-9223372036854775808",
    "-",
    "!!!!!",
    "true",
    "if",
    "then",
    "else",
    "in",
    "is",
    "has",
    "like",
    "when",
    "unless",
    "permit",
    "principal",
    "context",
    "User",
    "__cedar",
    "decimal",
    "foo",
    "contains",
    ".isEmpty()",
    ".contains(1)",
    ".size()",
    "é",
    "\x0b",
    "\u2028",
    "\r",
    "// x\r",
    "/*",
    " ",
)


def mutated(rng, text):
    """The text with one to three of its tokens lost, doubled, exchanged or put in between."""
    tokens = _TOKEN.findall(text)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at, other = rng.randrange(len(tokens)), rng.randrange(len(tokens))
        how = rng.randrange(6)
        if how == 0 and len(tokens) > 1:
            del tokens[at]
        elif how == 1:
            tokens.insert(at, tokens[at])
        elif how == 2:
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif how == 3:
            tokens[at] = tokens[other]
        else:
            tokens[at : at + how - 4] = [rng.choice(_STRAY)]
    return "".join(tokens)


_NODES = (
    None,
    True,
    1,
    "x",
    [],
    {},
    {"Value": 1},
    {"Var": "principal"},
    {"Var": "other"},
    {"Slot": "?principal"},
    {"op": "All"},
    {"nothing": []},
    {"type": "User", "id": "a"},
    {"__entity": {"type": "User", "id": "a"}},
    {"Value": {"__extn": {"fn": "ip", "arg": "::1"}}},
    {"ip": []},
    {"op": "in", "slot": "?principal"},
    {"op": "==", "entity": {"type": "if", "id": ""}},
    {"Value": 1.5},
    {"Value": None},
)


def mutated_json(rng, tree):
    """The tree with one of its nodes lost, renamed or exchanged."""
    places = []
    nodes = [tree]
    for node in nodes:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        places += [(node, key) for key in keys]
        nodes += [node[key] for key in keys if isinstance(node[key], (dict, list))]
    if not places:
        return tree
    node, key = rng.choice(places)
    how = rng.randrange(4)
    if how == 0:
        del node[key]
    elif how == 1 and isinstance(node, dict):
        node[rng.choice(("op", "left", "attr", "extra", "Set", "body", "decimal", "arg", "__entity"))] = node.pop(key)
    elif how == 2:
        other, name = rng.choice(places)
        if name in other if isinstance(other, dict) else True:
            node[key] = json.loads(json.dumps(other[name]))
    else:
        node[key] = rng.choice(_NODES)
    return tree
