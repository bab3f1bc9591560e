"""What an attacker tries: tokens, keys, injection in every filter of every list, broken and slow requests."""

import base64
import hashlib
import hmac
import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import aicp_dev
import pytest
from admin_server import BINARY, free_port


def b64(value) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(secret: str, header=None, **claims) -> str:
    now = int(time.time())
    body = {
        "sub": "admin", "role": "admin", "is_admin": True, "is_platform_admin": True, "org_roles": {},
        "jti": "0" * 32, "iat": now, "exp": now + 600, **claims,
    }
    signed = b64(header or {"alg": "HS256", "typ": "JWT"}) + "." + b64(body)
    return signed + "." + b64(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())


def unpack(session: str) -> tuple[dict, dict]:
    return tuple(json.loads(base64.urlsafe_b64decode(part + "==")) for part in session.split(".")[:2])


def test_forged_and_expired_tokens_open_nothing(server, admin):
    secret = server.settings["JWT_SECRET_KEY"]
    header, claims = unpack(admin.token)
    assert server.call("GET", "/auth/me", token=token(secret, header, **claims)).status == 200, "the test's own token"
    none = b64({"alg": "none"}) + "." + b64(claims) + "."
    now = int(time.time())
    wrong = {
        "another secret": token("x" * 64, header, **claims),
        "expired": token(secret, header, **{**claims, "exp": now - 60}),
        "from the future": token(secret, header, **{**claims, "iat": now + 3600, "exp": now + 7200}),
        "no expiry": token(secret, header, **{**claims, "exp": None}),
        "alg none": none,
        "alg none with a signature": none + admin.token.split(".")[2],
        "alg NONE": b64({"alg": "NONE"}) + "." + b64(claims) + ".",
        "alg HS512": token(secret, {"alg": "HS512", "typ": "JWT"}, **claims),
        "alg RS256": token(secret, {"alg": "RS256", "typ": "JWT"}, **claims),
        "no signature": ".".join(admin.token.split(".")[:2]) + ".",
        "cut": admin.token[:-2],
        "two parts": ".".join(admin.token.split(".")[:2]),
        "four parts": admin.token + ".x",
        "other claims": ".".join([admin.token.split(".")[0], b64({**claims, "sub": "eve"}), admin.token.split(".")[2]]),
        "not JSON": b64(b"not json") + "." + b64(b"{") + "." + b64(b"x"),
        "long": "a" * 6000 + ".b.c",
        "the master key": server.master_key,
        "the service key": server.service_key,
    }
    for name, text in wrong.items():
        answer = server.call("GET", "/auth/me", token=text)
        assert answer.status in (401, 431), (name, answer.status)
        assert answer.status == 431 or answer.headers["www-authenticate"] == "Bearer", name
    for scheme in ("Basic", "bearer:", ""):
        assert server.call("GET", "/auth/me", headers={"Authorization": f"{scheme} {admin.token}"}).status == 401


def operations(server) -> list[tuple[str, str, dict]]:
    paths = server.call("GET", "/openapi.json").body["paths"]
    return [(verb.upper(), path, what) for path, verbs in paths.items() for verb, what in verbs.items()]


PUBLIC = {"/openapi.json", "/auth/login", "/health", "/ready", "/metrics"}


def is_service(path: str) -> bool:
    return path.startswith(("/api/v1/gate/", "/beta/", "/api/v1/litellm/"))


def fill(path: str) -> str:
    while "{" in path:
        path = path[: path.index("{")] + "x" + path[path.index("}") + 1 :]
    return path


def test_every_operation_wants_its_own_kind_of_credentials(server, admin):
    seen = 0
    for verb, path, _ in operations(server):
        if path in PUBLIC:
            continue
        body = {} if verb in ("POST", "PUT") else None
        key = {"X-Service-Key": server.service_key}
        assert server.call(verb, fill(path), body).status == 401, (verb, path)
        if is_service(path):
            assert server.call(verb, fill(path), body, token=admin.token).status == 401, (verb, path)
        else:
            assert server.call(verb, fill(path), body, headers=key).status == 401, (verb, path)
            assert server.call(verb, fill(path), body, token=server.service_key).status == 401, (verb, path)
        seen += 1
    assert seen > 80


STRANGE = [
    "' OR '1'='1", "'; DROP TABLE admin_rate_limit; --", '" OR ""="', "1) OR (1=1", "\\", "%", "_", "%_%", "*", "?",
    "$1", "${7*7}", "{{7*7}}", "=1+1", "\u202e\u2028", "\U0001f4a9", "a" * 60, "NaN", "1e309", "-0", "0x10", "null",
    "9223372036854775808", "2026-13-45", "../../etc/passwd",
]


def test_no_filter_of_any_list_lets_itself_be_broken_into(server, admin, organization):
    org = organization()
    quoted = [urllib.parse.quote(text, safe="") for text in STRANGE] + ["%00", "%FF", "%C0%AF", "%ED%A0%80"]
    lists = [
        (path.replace("{org_id}", org["id"]), what["parameters"])
        for verb, path, what in operations(server)
        if verb == "GET" and not is_service(path) and any(p["name"] in ("limit", "fields") for p in what.get("parameters", []))
    ]
    lists = [(path, parameters) for path, parameters in lists if "{" not in path]
    assert len(lists) > 15
    sent = 0
    for number, (path, parameters) in enumerate(lists):
        real = path.split("/")[3] in ("models", "keys", "teams", "budgets")  # each call is one of LiteLLM too
        names = [p["name"] for p in parameters if p["in"] == "query"]
        for position, name in enumerate(names):
            step = len(quoted) if real else 5
            for value in quoted[(number + position) % len(quoted) :: step]:
                answer = server.call("GET", f"{path}?{name}={value}", token=admin.token)
                assert answer.status in (200, 400, 422), (path, name, value, answer.text)
                sent += 1
        assert server.call("GET", f"{path}?1%3D1--=x", token=admin.token).status in (400, 422), path
    assert sent > 500
    assert admin.call("GET", "rate-limits").status == 200


def test_wildcards_are_plain_characters_in_filters(admin, made):
    name = aicp_dev.unique("wild")
    made("rate-limits", name=f"{name}%a", scope="global", rpm_limit=1)
    made("rate-limits", name=f"{name}_b", scope="global", rpm_limit=1)
    for query, found in (("%25a", 1), ("_b", 1), ("%25", 1), ("_", 1), ("%25b", 0), ("", 2)):
        assert len(admin.get(f"rate-limits?q={name}{query}")) == found, query
    assert admin.get(f"rate-limits?name={name}%25") == []


# ---- bodies ----


def raw(server, admin, path: str, data: bytes, verb: str = "POST", **headers: str) -> int:
    headers = {"Authorization": f"Bearer {admin.token}", "Content-Type": "application/json", **headers}
    request = urllib.request.Request(server.url + path, data=data, method=verb, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            body = json.loads(error.read())
            assert body["status"] == error.code and body["detail"]
            return error.code


MALFORMED = [
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"{]", b'{"name":}', b'{"name":"\xff"}', b'{"name":"\\ud800"}', b'{"a":1}{"b":2}',
    b'{"name":"a","name":"b"}', b'\xef\xbb\xbf{"name":"x"}', b"{'name':'x'}", b'{"name":"\x00"}', b'{"name":"\\u0000"}',
    b'{"rpm_limit":1e400}', b'{"rpm_limit":NaN}', b'{"rpm_limit":+1}', b'{"rpm_limit":01}', b"[" * 100000,
    b'{"metadata":' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
]


def test_a_malformed_body_is_refused_by_every_operation_that_takes_one(server, admin):
    bodies = [(v, p, what["requestBody"]["required"]) for v, p, what in operations(server) if "requestBody" in what]
    paths = [(v, fill(p), required) for v, p, required in bodies if not is_service(p) and p != "/auth/login"]
    assert len(paths) > 20
    for number, (verb, path, required) in enumerate(paths):
        for data in MALFORMED[number % 3 :: 3]:
            if not data and not required:
                continue  # no body at all is fine there
            status = raw(server, admin, path, data, verb)
            assert 400 <= status < 500, (verb, path, data[:40], status)


def test_a_body_that_is_too_large_is_refused_unread(server, admin):
    body = json.dumps({"name": "x" * 1_100_000, "scope": "global", "rpm_limit": 1}).encode()
    with pytest.raises((AssertionError, OSError)):  # the connection may be closed before all is sent
        assert raw(server, admin, "/api/v1/rate-limits", body) != 413
    head = f"POST /api/v1/rate-limits HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin.token}\r\n"
    assert "413" in talk(server, f"{head}Content-Type: application/json\r\nContent-Length: 9999999999\r\n\r\n".encode())


def test_another_content_type_is_refused(server, admin):
    body = json.dumps({"name": "x", "scope": "global", "rpm_limit": 1}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"):
        assert raw(server, admin, "/api/v1/rate-limits", body, **{"Content-Type": kind}) == 415, kind


# ---- the wire ----


def talk(server, data: bytes, seconds: float = 15) -> str:
    """What comes back on a connection of its own until it is closed, or nothing came for a while."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as wire:
        wire.sendall(data)
        received = b""
        wire.settimeout(2)
        try:
            while chunk := wire.recv(65536):
                received += chunk
        except OSError:
            pass
        return received.decode("latin-1")


def test_no_request_can_be_smuggled_in_another(server, admin):
    inner = f"GET /auth/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin.token}\r\n\r\n"
    post = f"POST /api/v1/rate-limits/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin.token}\r\nContent-Type: application/json\r\n"
    for headers in (
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\nContent-Length: 200\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: 2, 2\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
    ):
        got = talk(server, (post + headers + "\r\n0\r\n\r\n" + inner).encode("latin-1"))
        assert got.count("HTTP/1.1 ") <= 1 and "user_id" not in got, (headers, got[:400])
        assert not got or got.split(" ")[1] == "501" or got.split(" ")[1][0] == "4", (headers, got[:200])


def test_slow_clients_do_not_keep_others_waiting(server, admin):
    wires = []
    try:
        for _ in range(60):
            wire = socket.create_connection(("127.0.0.1", server.port))
            wire.sendall(b"POST /api/v1/rate-limits HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nX-A: ")
            wires.append(wire)
        started = time.monotonic()
        assert admin.call("GET", "rate-limits?limit=1").status == 200
        assert time.monotonic() - started < 5
    finally:
        for wire in wires:
            wire.close()


def test_nothing_of_a_request_ends_in_headers_of_the_answer(server, admin):
    answer = server.call("GET", "/api/v1/rate-limits/%0d%0aX-Evil:%201?x=%0d%0aX-Evil:%201", token=admin.token)
    assert "x-evil" not in answer.headers and answer.status in (400, 404, 422)


# ---- start ----


@pytest.mark.parametrize(
    "name, value",
    [
        ("JWT_SECRET_KEY", "change-in-production-please"),
        ("JWT_SECRET_KEY", "your-super-secret-jwt-key-change-in-production"),
        ("JWT_SECRET_KEY", "short"),
        ("JWT_SECRET_KEY", ""),
        ("LITELLM_MASTER_KEY", ""),
        ("LITELLM_MASTER_KEY", "sk-1234"),
        ("AICP_SECRET_KEY", "short"),
        ("INTERNAL_SERVICE_KEY", "short"),
        ("ENVIRONMENT", "prod"),
    ],
)
def test_production_does_not_start_with_weak_secrets(environment, tmp_path, name, value):
    settings = {
        "PATH": "/usr/bin", "ENVIRONMENT": "production", "AICP_DATABASE_URL": f"sqlite://{tmp_path}/a.db",
        "LITELLM_MASTER_KEY": environment.master_key, "LITELLM_URL": environment.url, "JWT_SECRET_KEY": "k7" * 20,
        "AICP_SECRET_KEY": "s5" * 20, "INTERNAL_SERVICE_KEY": "i3" * 20, "ADMIN_API_PORT": str(free_port()),
    }
    good = subprocess.run([BINARY, "--check-config"], env=settings, capture_output=True, text=True, timeout=20)
    assert good.returncode == 0, good.stderr
    bad = subprocess.run([BINARY], env={**settings, name: value}, capture_output=True, text=True, timeout=20)
    assert bad.returncode != 0
    said = bad.stdout + bad.stderr
    assert name in said and (len(value) < 6 or value not in said)
