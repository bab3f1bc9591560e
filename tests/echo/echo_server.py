"""A small OpenAI-compatible server that answers with the last user message, exactly as it arrived.

    echo_server.py [--port 4010]

POST /v1/chat/completions   "echo: " and the last user message; streams in pieces of a few characters, so that what the
                            caller looks for is often cut in two. Honours max_tokens and stream_options.include_usage.
                            With tool_choice "required" it calls the first tool, with the message as argument "text".
POST /v1/responses          the same in the form of the responses API
POST /v1/embeddings         vectors that depend on the text only
GET  /v1/models             the models below and a few more
GET  /_seen[?model=NAME]    the last requests, newest last: {"seen": [{"path", "headers", "body"}]}
DELETE /_seen               forgets them
GET  /health

Usage is counted with tiktoken's o200k_base for every model, by OpenAI's rule for chat messages. tiktoken and the
vocabulary come from LiteLLM's environment, no network is needed. Special models:

echo-broken  answers 500          echo-slow  waits ECHO_DELAY seconds (2) before it answers, a hundredth of that before
                                             each piece of a stream
echo-cut     breaks the connection in the middle of the answer
"""

import argparse
import asyncio
import base64
import collections
import hashlib
import importlib.util
import itertools
import json
import os
import pathlib
import struct
import time
import urllib.parse

PIECE = 5  # characters in a streamed piece
SEEN = 500  # requests kept for GET /_seen
MAX_BODY = 64 << 20
MODELS = ["gpt-4o", "gpt-4o-mini", "gpt-5", "claude-sonnet-4-5", "claude-opus-4-5", "gemini-3-pro-preview"]
DELAY = float(os.environ.get("ECHO_DELAY", "2"))


class BadRequest(Exception):
    """The caller's fault; the text goes back with status 400."""


def load_encoding():
    litellm = importlib.util.find_spec("litellm")
    if litellm and litellm.submodule_search_locations:
        vocabularies = pathlib.Path(litellm.submodule_search_locations[0], "litellm_core_utils", "tokenizers")
        os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(vocabularies))
    import tiktoken

    return tiktoken.get_encoding("o200k_base")


class Echo:
    """The answers, independent of HTTP."""

    def __init__(self) -> None:
        self.encoding = load_encoding()
        self.seen = collections.deque(maxlen=SEEN)
        self.numbers = itertools.count(1)

    def tokens(self, text: str) -> list[int]:
        return self.encoding.encode(text, disallowed_special=())

    def prompt_tokens(self, body: dict) -> int:
        """OpenAI's rule: 3 a message and its values, 1 more for a name, 3 for the start of the answer."""
        count = 3
        for message in body["messages"]:
            count += 3 + len(self.tokens(str(message.get("role", "")))) + len(self.tokens(text_of(message)))
            if message.get("name"):
                count += 1 + len(self.tokens(str(message["name"])))
        if body.get("tools"):
            count += len(self.tokens(json.dumps(body["tools"])))
        return count

    def chat(self, body: dict) -> tuple[str, str, dict]:
        """The answer's text, its finish reason and the usage."""
        messages = body.get("messages")
        if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
            raise BadRequest("messages must be a list of objects")
        last = next((m for m in reversed(messages) if m.get("role") == "user"), {})
        text = json.dumps({"text": text_of(last)}) if tool_name(body) else "echo: " + text_of(last)
        answer = self.tokens(text)
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        reason = "stop"
        if isinstance(limit, int) and 0 <= limit < len(answer):
            answer, reason = answer[:limit], "length"
        elif tool_name(body):
            reason = "tool_calls"
        prompt = self.prompt_tokens(body)
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": len(answer),
            "total_tokens": prompt + len(answer),
        }
        return self.encoding.decode(answer), reason, usage

    def embeddings(self, body: dict) -> dict:
        inputs = body.get("input")
        if isinstance(inputs, str) or (isinstance(inputs, list) and inputs and isinstance(inputs[0], int)):
            inputs = [inputs]
        if not isinstance(inputs, list) or not inputs:
            raise BadRequest("input must be a text or a list")
        data, count = [], 0
        for index, text in enumerate(inputs):
            count += len(self.tokens(text)) if isinstance(text, str) else len(text)
            digest = hashlib.sha256(json.dumps(text).encode()).digest()
            vector = [byte / 255 - 0.5 for byte in digest]
            if body.get("encoding_format") == "base64":
                vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
            data.append({"object": "embedding", "index": index, "embedding": vector})
        usage = {"prompt_tokens": count, "total_tokens": count}
        return {"object": "list", "model": body.get("model"), "data": data, "usage": usage}


def text_of(message: dict) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict) and part.get("type") == "text")
    return content if isinstance(content, str) else ""


def tool_name(body: dict) -> str | None:
    """The tool that must be called, when the request asks for one."""
    tools = body.get("tools")
    return tools[0]["function"]["name"] if tools and body.get("tool_choice") == "required" else None


def response_input(body: dict) -> list[dict]:
    """The input of the responses API as chat messages."""
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadRequest("input must be a text or a list of objects")
    messages = [{"role": "system", "content": body["instructions"]}] if body.get("instructions") else []
    for item in items:
        content = item.get("content")
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content if isinstance(part, dict))
        messages.append({"role": item.get("role", "user"), "content": content or ""})
    return messages


def error_body(message: str, kind: str) -> dict:
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


class Connection:
    """One client connection, HTTP/1.1 with keep-alive."""

    def __init__(self, echo: Echo, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.echo, self.reader, self.writer = echo, reader, writer

    async def serve(self) -> None:
        try:
            while await self.one():
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass  # the client went away or does not speak HTTP
        finally:
            self.writer.close()

    async def one(self) -> bool:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = {}
        for line in filter(None, head[1:]):
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        if "transfer-encoding" in headers or not 0 <= length <= MAX_BODY:
            await self.send(400, error_body("a body needs Content-Length, 64 MB at most", "invalid_request_error"))
            return False
        raw = await self.reader.readexactly(length)
        try:
            return await self.route(method, urllib.parse.urlsplit(target), headers, raw)
        except (BadRequest, json.JSONDecodeError, UnicodeDecodeError) as error:
            await self.send(400, error_body(str(error), "invalid_request_error"))
            return True

    async def route(self, method: str, url: urllib.parse.SplitResult, headers: dict, raw: bytes) -> bool:
        if url.path == "/health":
            await self.send(200, {"status": "ok"})
        elif url.path == "/_seen":
            await self.seen(method, url.query)
        elif method == "GET" and url.path == "/v1/models":
            entries = [{"id": name, "object": "model", "created": 0, "owned_by": "echo"} for name in MODELS]
            await self.send(200, {"object": "list", "data": entries})
        elif method == "POST" and url.path in ("/v1/chat/completions", "/v1/embeddings", "/v1/responses"):
            body = json.loads(raw)
            if not isinstance(body, dict):
                raise BadRequest("the body must be an object")
            kept = {name: value for name, value in headers.items() if name != "authorization"}
            self.echo.seen.append({"path": url.path, "headers": kept, "body": body})
            return await self.answer(url.path, body)
        else:
            await self.send(404, error_body(f"no {method} {url.path} here", "not_found_error"))
        return True

    async def seen(self, method: str, query: str) -> None:
        if method == "DELETE":
            self.echo.seen.clear()
        model = urllib.parse.parse_qs(query).get("model", [None])[0]
        found = [entry for entry in self.echo.seen if model in (None, entry["body"].get("model"))]
        await self.send(200, {"seen": found})

    async def answer(self, path: str, body: dict) -> bool:
        model = body.get("model")
        if model == "echo-broken":
            await self.send(500, error_body("echo-broken always fails", "server_error"))
            return True
        if model == "echo-slow":
            await asyncio.sleep(DELAY)
        if path == "/v1/embeddings":
            await self.send(200, self.echo.embeddings(body))
            return True
        if path == "/v1/responses":
            return await self.respond(body)
        text, reason, usage = self.echo.chat(body)
        common = {"id": f"chatcmpl-echo-{next(self.echo.numbers)}", "created": int(time.time()), "model": model}
        if body.get("stream"):
            return await self.stream(body, common, text, reason, usage)
        if model == "echo-cut":
            return False
        message = {"role": "assistant", "content": text}
        if tool_name(body):
            function = {"name": tool_name(body), "arguments": text}
            message = {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        await self.send(200, {**common, "object": "chat.completion", "choices": [choice], "usage": usage})
        return True

    async def stream(self, body: dict, common: dict, text: str, reason: str, usage: dict) -> bool:
        self.head(200, "text/event-stream; charset=utf-8", "transfer-encoding: chunked")
        with_usage = (body.get("stream_options") or {}).get("include_usage")
        pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
        if body.get("model") == "echo-cut":
            pieces = pieces[: len(pieces) // 2]
        deltas = [{"role": "assistant", "content": ""}] + [{"content": piece} for piece in pieces]
        if tool_name(body):
            start = {"index": 0, "id": "call_1", "type": "function", "function": {"name": tool_name(body), "arguments": ""}}
            deltas = [{"role": "assistant", "content": None, "tool_calls": [start]}]
            deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
        for delta in deltas:
            await self.event({**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}, with_usage)
            if body.get("model") == "echo-slow":
                await asyncio.sleep(DELAY / 100)
        if body.get("model") == "echo-cut":
            return False
        await self.event({**common, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}, with_usage)
        if with_usage:
            await self.event({**common, "choices": [], "usage": usage}, False)
        await self.chunk(b"data: [DONE]\n\n")
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()
        return True

    async def respond(self, body: dict) -> bool:
        """The responses API: one message of one text, whole or as events."""
        messages = response_input(body)
        text, _, usage = self.echo.chat({"messages": messages, "max_tokens": body.get("max_output_tokens")})
        number = next(self.echo.numbers)
        part = {"type": "output_text", "text": text, "annotations": []}
        item = {"type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant", "content": [part]}
        answer = {
            "id": f"resp_{number}", "object": "response", "created_at": int(time.time()), "status": "completed",
            "model": body.get("model"), "output": [item], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
            "usage": {
                "input_tokens": usage["prompt_tokens"], "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": usage["completion_tokens"], "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage["total_tokens"],
            },
        }
        if not body.get("stream"):
            await self.send(200, answer)
            return True
        await self.respond_streamed(answer, item, part)
        return True

    async def respond_streamed(self, answer: dict, item: dict, part: dict) -> None:
        begun = {**answer, "status": "in_progress", "output": [], "usage": None}
        place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        text = part["text"]
        events = [("response.created", {"response": begun})]
        events += [("response.output_item.added", {"output_index": 0, "item": {**item, "status": "in_progress", "content": []}})]
        events += [("response.content_part.added", {**place, "part": {**part, "text": ""}})]
        events += [("response.output_text.delta", {**place, "delta": text[at : at + PIECE]}) for at in range(0, len(text), PIECE)]
        events += [("response.output_text.done", {**place, "text": text}), ("response.content_part.done", {**place, "part": part})]
        events += [("response.output_item.done", {"output_index": 0, "item": item}), ("response.completed", {"response": answer})]
        self.head(200, "text/event-stream; charset=utf-8", "transfer-encoding: chunked")
        for number, (kind, data) in enumerate(events):
            line = json.dumps({"type": kind, "sequence_number": number, **data})
            await self.chunk(f"event: {kind}\ndata: {line}\n\n".encode())
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def event(self, data: dict, null_usage: bool) -> None:
        data["object"] = "chat.completion.chunk"
        if null_usage:
            data["usage"] = None
        await self.chunk(b"data: " + json.dumps(data).encode() + b"\n\n")

    async def chunk(self, data: bytes) -> None:
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()

    async def send(self, status: int, body: dict) -> None:
        raw = json.dumps(body).encode()
        self.head(status, "application/json", f"content-length: {len(raw)}")
        self.writer.write(raw)
        await self.writer.drain()

    def head(self, status: int, kind: str, framing: str) -> None:
        reasons = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error"}
        text = f"HTTP/1.1 {status} {reasons[status]}\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n"
        self.writer.write(text.encode())


async def main() -> None:
    parser = argparse.ArgumentParser(description="OpenAI-compatible echo server")
    parser.add_argument("--port", type=int, default=4010)
    options = parser.parse_args()
    echo = Echo()

    async def connect(reader, writer):
        await Connection(echo, reader, writer).serve()

    server = await asyncio.start_server(connect, "127.0.0.1", options.port, limit=1 << 20)
    print(f"echo server on http://127.0.0.1:{options.port}/v1", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
