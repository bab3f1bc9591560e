"""Streamed answers: each text in them goes through a scanner of the gate piece by piece.

LiteLLM streams in three forms: chunks with choices (chat and text completions), events with a
``type`` (responses) and Anthropic's server-sent events as bytes. A scanner may hold text back; what
it held comes out with a later chunk, at the latest before the one that ends the text.
"""

from __future__ import annotations

import copy
import json
from functools import partial
from typing import Any, Callable, Dict, Hashable, Iterator, List, Optional, Tuple

from ..cost import Usage, parse_usage
from ..errors import AicpError
from .answers import dump, usage_of
from .identity import to_json


class Refused(Exception):
    """The answer must not be given out; the decision tells why."""


class Rewriter:
    """Feeds the chunks of one answer through the gate."""

    def __init__(self, decision: Any) -> None:
        self.decision = decision
        self.usage: Optional[Usage] = None
        self.raw: List[str] = []  # what the model wrote, for counting when it reports no usage
        self._scanners: Dict[Hashable, Any] = {}
        self._tails: Dict[Hashable, Callable[[str], Any]] = {}
        self._tools_open: Dict[Tuple[int, str, int], Any] = {}
        self._frames = b""

    @property
    def written(self) -> str:
        """What the model wrote so far."""
        return "".join(self.raw)

    def feed(self, chunk: Any) -> Iterator[Any]:
        """What to pass on for a chunk; may be nothing, the same object or several."""
        if isinstance(chunk, (bytes, str)):
            yield from self._sse(chunk)
        elif hasattr(chunk, "choices"):
            changed = self._choices(chunk)
            if changed is not None:
                yield changed
        elif isinstance(getattr(chunk, "type", None), (str,)) or _event_type(chunk):
            yield from self._event(chunk)
        else:
            yield chunk

    def finish(self) -> Iterator[Any]:
        """What is still held back when a stream ends without saying so."""
        for key in list(self._scanners):
            rest = self._end(key)
            if rest and key in self._tails:
                yield self._tails[key](rest)
        if self._frames:
            held, self._frames = self._frames, b""
            yield from self._frame(held)

    # -- scanners ------------------------------------------------------------------------------

    def _scan(self, key: Hashable, text: str) -> str:
        self.raw.append(text)
        scanner = self._scanners.get(key)
        if scanner is None:
            scanner = self._scanners[key] = self.decision.stream()
        return self._out(scanner.feed(text))

    def _end(self, key: Hashable) -> str:
        scanner = self._scanners.pop(key, None)
        if scanner is None:
            return ""
        rest = self._out(scanner.feed("", last=True))
        scanner.close()
        return rest

    @staticmethod
    def _out(output: Any) -> str:
        if not output.allowed:
            raise Refused
        return (output.data or b"").decode("utf-8", "replace")

    def _whole(self, text: str) -> str:
        output = self.decision.output_text(text)
        if not output.allowed:
            raise Refused
        return output.data.decode("utf-8", "replace") if output.data is not None else text

    # -- chunks with choices --------------------------------------------------------------------

    def _choices(self, chunk: Any) -> Any:
        usage = usage_of(chunk)
        if usage is not None:
            self.usage = usage
        made = _clone(chunk)
        made.choices = [self._choice(made, choice) for choice in chunk.choices or []]
        worth = usage is not None or not made.choices or any(map(_says_something, made.choices))
        return made if worth else None

    def _choice(self, chunk: Any, choice: Any) -> Any:
        made = _clone(choice)
        index = getattr(choice, "index", 0) or 0
        ends = getattr(choice, "finish_reason", None)
        delta = getattr(choice, "delta", None)
        if delta is None:
            self._field(made, "text", (index, "text"), ends, chunk, made)
            return made
        made.delta = _clone(delta)
        for name in ("content", "reasoning_content"):
            self._field(made.delta, name, (index, name), ends, chunk, made)
        self._tools(made, index, ends, chunk)
        return made

    def _field(
        self, holder: Any, name: str, key: Hashable, ends: Any, chunk: Any, choice: Any
    ) -> None:
        text = getattr(holder, name, None)
        out = self._scan(key, text) if isinstance(text, str) and text else ""
        if ends:
            out += self._end(key)
        else:
            self._tails[key] = partial(_with_text, chunk, choice, name)
        if isinstance(text, str) or out:
            setattr(holder, name, out)

    def _tools(self, choice: Any, index: int, ends: Any, chunk: Any) -> None:
        calls = []
        for call in getattr(choice.delta, "tool_calls", None) or []:
            made = _clone(call)
            function = getattr(call, "function", None)
            text = getattr(function, "arguments", None)
            if isinstance(text, str) and text:
                place = (index, "tool", getattr(call, "index", 0) or 0)
                made.function = _clone(function)
                made.function.arguments = self._scan(place, text)
                self._tails[place] = partial(_with_tool, chunk, choice, made)
                self._tools_open[place] = made
            calls.append(made)
        if ends:
            for place in [p for p in self._tools_open if p[0] == index]:
                last = self._tools_open.pop(place)
                rest = self._end(place)
                if rest:
                    calls.append(_tool_rest(last, rest))
        if calls:
            choice.delta.tool_calls = calls

    # -- events of the responses API ----------------------------------------------------------------

    def _event(self, event: Any) -> Iterator[Any]:
        kind = _event_type(event)
        place = (_get(event, "output_index"), _get(event, "content_index"), _get(event, "item_id"))
        text = _get(event, "delta")
        if kind.endswith(".delta") and isinstance(text, str):
            key = (kind[: -len(".delta")],) + place
            made = _clone(event)
            _set(made, "delta", self._scan(key, text))
            self._tails[key] = partial(_with_delta, event)
            yield made
            return
        if kind.endswith(".done"):
            key = (kind[: -len(".done")],) + place
            rest = self._end(key)
            if rest:
                yield self._tails[key](rest)
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            usage = usage_of(_get(event, "response") or {})
            self.usage = usage if usage is not None else self.usage
        yield self._restored(event)

    def _restored(self, event: Any) -> Any:
        """An event that repeats whole texts, each scanned and restored."""
        plain = dump(event)
        if plain is None or not _has_texts(plain):
            return event
        made = copy.deepcopy(event)
        _each_text(made, self._whole)
        return made

    # -- Anthropic's events ---------------------------------------------------------------------------

    def _sse(self, chunk: Any) -> Iterator[Any]:
        self._frames += chunk.encode() if isinstance(chunk, str) else chunk
        self._frames = self._frames.replace(b"\r\n", b"\n")
        while b"\n\n" in self._frames:
            frame, self._frames = self._frames.split(b"\n\n", 1)
            for out in self._frame(frame):
                yield out + b"\n\n"

    def _frame(self, frame: bytes) -> Iterator[bytes]:
        lines = frame.split(b"\n")
        payload = b"\n".join(line[5:].lstrip() for line in lines if line.startswith(b"data:"))
        try:
            event = json.loads(payload)
        except ValueError:
            yield frame
            return
        kind = event.get("type") if isinstance(event, dict) else None
        if isinstance(event, dict) and isinstance(event.get("choices"), list):
            yield from self._choice_frame(event, frame)
            return
        if isinstance(event, dict) and isinstance(event.get("candidates"), list):
            yield self._candidate_frame(event)
            return
        self._anthropic_usage(event if isinstance(event, dict) else {})
        if kind == "content_block_delta":
            delta = event.get("delta") or {}
            for name in ("text", "partial_json", "thinking"):
                if isinstance(delta.get(name), str) and delta[name]:
                    key = ("block", event.get("index"))
                    delta[name] = self._scan(key, delta[name])
                    self._tails[key] = partial(_block_rest, copy.deepcopy(event), name)
                    yield _sse_frame(event)
                    return
        elif kind == "content_block_stop":
            key = ("block", event.get("index"))
            rest = self._end(key)
            if rest:
                yield self._tails[key](rest)[:-2]
        yield frame

    def _choice_frame(self, event: Dict[str, Any], frame: bytes) -> Iterator[bytes]:
        """A chat chunk that comes as bytes (a provider passed through)."""
        changed = False
        for choice in event["choices"]:
            delta = choice.get("delta") if isinstance(choice, dict) else None
            holder, name = (delta, "content") if isinstance(delta, dict) else (choice, "text")
            text = holder.get(name) if isinstance(holder, dict) else None
            key = ("frame", choice.get("index", 0) if isinstance(choice, dict) else 0)
            out = self._scan(key, text) if isinstance(text, str) and text else ""
            if isinstance(choice, dict) and choice.get("finish_reason"):
                out += self._end(key)
            if isinstance(text, str) or out:
                holder[name] = out
                changed = True
        usage = usage_of(event)
        self.usage = usage if usage is not None else self.usage
        yield b"data: " + to_json(event) if changed else frame

    def _candidate_frame(self, event: Dict[str, Any]) -> bytes:
        """A chunk of Google's generateContent."""
        for candidate in event["candidates"]:
            content = candidate.get("content") if isinstance(candidate, dict) else None
            parts = content.get("parts") if isinstance(content, dict) else None
            key = ("candidate", candidate.get("index", 0) if isinstance(candidate, dict) else 0)
            for part in parts if isinstance(parts, list) else []:
                if isinstance(part, dict) and isinstance(part.get("text"), str) and part["text"]:
                    part["text"] = self._scan(key, part["text"])
                elif isinstance(part, dict) and isinstance(part.get("functionCall"), dict):
                    self.raw.append(json.dumps(part["functionCall"].get("args")))
                    part["functionCall"] = _each_string(part["functionCall"], self._whole)
            rest = self._end(key) if isinstance(candidate, dict) and candidate.get("finishReason") else ""
            if rest:
                text = {"role": "model", "parts": [{"text": rest}]}
                candidate["content"] = text if not parts else {**content, "parts": parts + text["parts"]}
        told = event.get("usageMetadata")
        if isinstance(told, dict):
            output = (told.get("candidatesTokenCount") or 0) + (told.get("thoughtsTokenCount") or 0)
            usage = {"prompt_tokens": told.get("promptTokenCount") or 0, "completion_tokens": output}
            self.usage = usage if any(usage.values()) else self.usage
        return b"data: " + to_json(event)

    def _anthropic_usage(self, event: Dict[str, Any]) -> None:
        message = event.get("message")
        found = event.get("usage") or (message.get("usage") if isinstance(message, dict) else None)
        if not isinstance(found, dict):
            return
        try:
            usage = parse_usage(to_json(found))
        except AicpError:
            return
        if self.usage is None:
            self.usage = usage
        else:  # message_start tells the input, message_delta the output
            self.usage = {name: max(n, usage.get(name, 0)) for name, n in self.usage.items()}


def _clone(value: Any) -> Any:
    """A copy of one level: LiteLLM keeps the chunk itself for its log."""
    make = getattr(value, "model_copy", None)
    return make() if make is not None else copy.copy(value)


def _get(event: Any, name: str) -> Any:
    return event.get(name) if isinstance(event, dict) else getattr(event, name, None)


def _set(event: Any, name: str, value: Any) -> None:
    if isinstance(event, dict):
        event[name] = value
    else:
        setattr(event, name, value)


def _event_type(event: Any) -> str:
    kind = _get(event, "type")
    kind = getattr(kind, "value", kind)
    return kind if isinstance(kind, str) else ""


def _says_something(choice: Any) -> bool:
    if getattr(choice, "finish_reason", None):
        return True
    delta = getattr(choice, "delta", None)
    if delta is None:
        return bool(getattr(choice, "text", None))
    plain = dump(delta) or {}
    return any(value not in (None, "", [], {}) for value in plain.values())


def _with_text(chunk: Any, choice: Any, name: str, rest: str) -> Any:
    made = _clone(chunk)
    only = _clone(choice)
    delta = getattr(choice, "delta", None)
    if delta is not None:
        only.delta = _clone(delta)
        setattr(only.delta, name, rest)
    else:
        setattr(only, name, rest)
    made.choices = [only]
    return made


def _tool_rest(call: Any, rest: str) -> Any:
    made = _clone(call)
    made.function = _clone(call.function)
    made.function.arguments = rest
    made.function.name = None
    made.id = None
    return made


def _with_tool(chunk: Any, choice: Any, call: Any, rest: str) -> Any:
    made = _clone(chunk)
    only = _clone(choice)
    only.delta = _clone(choice.delta)
    only.delta.content = None
    only.delta.tool_calls = [_tool_rest(call, rest)]
    made.choices = [only]
    return made


def _with_delta(event: Any, rest: str) -> Any:
    made = _clone(event)
    _set(made, "delta", rest)
    return made


def _sse_frame(event: Dict[str, Any]) -> bytes:
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + to_json(event)


def _block_rest(event: Dict[str, Any], name: str, rest: str) -> bytes:
    event["delta"][name] = rest
    return _sse_frame(event) + b"\n\n"


def _each_string(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {name: _each_string(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_each_string(item, change) for item in value]
    return change(value) if isinstance(value, str) and value else value


_TEXT_NAMES = ("text", "arguments", "refusal")


def _has_texts(value: Any) -> bool:
    if isinstance(value, dict):
        return any(
            (name in _TEXT_NAMES and isinstance(item, str) and item) or _has_texts(item)
            for name, item in value.items()
        )
    return isinstance(value, list) and any(map(_has_texts, value))


def _each_text(value: Any, change: Callable[[str], str]) -> None:
    items: List[Tuple[str, Any]]
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        for item in value:
            _each_text(item, change)
        return
    elif hasattr(value, "model_fields_set"):
        items = list(value.__dict__.items()) + list((getattr(value, "model_extra", None) or {}).items())
    else:
        return
    for name, item in items:
        if name in _TEXT_NAMES and isinstance(item, str) and item:
            _set(value, name, change(item))
        else:
            _each_text(item, change)
