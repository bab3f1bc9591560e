"""A gate that answers as a test says, with the interface of aicp.Gate."""

import json

from aicp.errors import make_error
from aicp.gate import Output


def failure(name="ERR_STORE", code=600):
    return make_error(code, name, "the store failed", (0, 0, 0))


class Scanner:
    """Holds back the last word, as the real one does, and upper-cases what goes by."""

    def __init__(self, decision):
        self.decision, self.held = decision, ""

    def feed(self, text, last=False):
        self.held += text
        if "FORBIDDEN" in self.held:
            return Output(False, None)
        cut = len(self.held) if last else self.held.rfind(" ") + 1
        out, self.held = self.held[:cut], self.held[cut:]
        return Output(True, out.replace("<EMAIL_ADDRESS_1>", "bob@example.com").encode())

    def close(self):
        pass


class Decision:
    def __init__(self, gate, sent, request, fields):
        self.gate, self.sent, self.request = gate, json.loads(sent), request
        self.allowed, self.http_status, self.step, self.rule = True, 200, "", ""
        self.type, self.message, self.advice, self.headers = "", "", "", {}
        self.id, self.model = request["call_id"], self.sent.get("model", "")
        self.body, self.max_tokens, self.input_tokens = None, None, 11
        self.cost_expected_nano, self.reserved_nano = 12_500, 40_000
        self.finding_count, self.risk, self.total_ns = 0, 0.0, 81_234
        for name, value in fields.items():
            setattr(self, name, value)
        self.settled, self.released, self.asked, self.served = [], 0, [], None

    def candidate(self, model, wait=0.0):
        self.asked.append((model, wait))
        answer = self.gate.candidates.get(model, True)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def output(self, body):
        if isinstance(self.gate.output, Exception):
            raise self.gate.output
        text = body.decode()
        if "FORBIDDEN" in text:
            self.allowed, self.http_status, self.step = False, 400, "guardrail"
            self.type, self.message = "guardrail_violation", "no"
            return Output(False, None)
        new = text.replace("<EMAIL_ADDRESS_1>", "bob@example.com")
        return Output(True, new.encode() if new != text else None)

    def output_text(self, text):
        return self.output(text.encode())

    def stream(self):
        return Scanner(self)

    def served_by(self, model):
        self.served = model

    def renew(self):
        pass

    def settle(self, usage=None, cost_nano=None):
        self.settled.append((usage, cost_nano))
        return cost_nano if cost_nano is not None else 777

    def release(self):
        self.released += 1

    def close(self):
        pass


class Gate:
    bundle_version = "test"

    def __init__(self, *answers, candidates=None, output=None):
        self.answers, self.decisions, self.checks = list(answers), [], []
        self.candidates, self.output = candidates or {}, output

    def check(self, body, *, wait=0.0, **request):
        self.checks.append((json.loads(body), wait, request))
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        decision = Decision(self, body, request, answer)
        self.decisions.append(decision)
        return decision

    def metrics(self):
        return {"fake": True}

    def flush(self):
        pass

    def close(self):
        pass
