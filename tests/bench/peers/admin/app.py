"""Three routes of admin-api as one writes them with FastAPI and asyncpg: the peer of bench_admin.py.

The same tables, the same SQL, the same answers. Left out, in the peer's favour: revocation of sessions, Cedar policies,
throttling, ETags, idempotency keys, the chain over the audit log.
"""

import contextlib
import datetime
import json
import os
import re
import time
import uuid
from typing import Annotated, Literal

import asyncpg
import jwt
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, field_validator

COLUMNS = (
    "id, version, created_at, updated_at, email, display_name, avatar_url, auth_provider, external_id, is_active, "
    "is_platform_admin, last_login_at"
)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
Provider = Literal["oidc", "okta", "azure_ad", "google_workspace"]


class NewUser(BaseModel):
    model_config = ConfigDict(extra="forbid")
    email: str = Field(min_length=3, max_length=254)
    display_name: str | None = Field(None, max_length=200)
    avatar_url: str | None = Field(None, max_length=1000)
    auth_provider: Provider | None = None
    external_id: str | None = Field(None, max_length=256)
    is_active: bool = True
    is_platform_admin: bool = False

    @field_validator("email")
    @classmethod
    def has_domain(cls, value: str) -> str:
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
            raise ValueError("is no e-mail address")
        return value


class User(BaseModel):
    id: str
    version: int
    created_at: str
    updated_at: str
    email: str
    display_name: str | None
    avatar_url: str | None
    auth_provider: Provider | None
    external_id: str | None
    is_active: bool
    is_platform_admin: bool
    last_login_at: str | None


def time_text(ns: int | None) -> str | None:
    if ns is None:
        return None
    return (EPOCH + datetime.timedelta(microseconds=ns // 1000)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def user_of(row: asyncpg.Record) -> User:
    values = dict(row)
    for name in ("created_at", "updated_at", "last_login_at"):
        values[name] = time_text(values[name])
    values["is_active"] = bool(values["is_active"])
    values["is_platform_admin"] = bool(values["is_platform_admin"])
    return User(**values)


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.pool = await asyncpg.create_pool(os.environ["PEER_DATABASE_URL"], min_size=8, max_size=8)
    yield
    await app.state.pool.close()


app = FastAPI(lifespan=lifespan)


def caller(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> dict:
    try:
        claims = jwt.decode(given.credentials, os.environ["PEER_JWT_SECRET"], algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "Invalid token") from error
    if not claims.get("is_platform_admin"):
        raise HTTPException(403, "Not allowed")
    return claims


Caller = Annotated[dict, Depends(caller)]


@app.get("/api/v1/users")
async def list_users(
    request: Request,
    response: Response,
    _: Caller,
    auth_provider: Provider | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[User]:
    where, values = ("WHERE auth_provider = $2", [auth_provider]) if auth_provider else ("", [])
    async with request.app.state.pool.acquire() as connection:
        rows = await connection.fetch(
            f'SELECT {COLUMNS} FROM admin_user {where} ORDER BY email COLLATE "C", id COLLATE "C" LIMIT $1', limit + 1, *values
        )
        if len(rows) > limit:
            counted = where.replace("$2", "$1")
            total = await connection.fetchval(
                f"SELECT COUNT(*) FROM (SELECT 1 FROM admin_user {counted} LIMIT 100001) AS counted", *values
            )
        else:
            total = len(rows)
    response.headers["X-Total-Count"] = str(total)
    return [user_of(row) for row in rows[:limit]]


@app.get("/api/v1/users/{user_id}")
async def get_user(request: Request, user_id: str, _: Caller) -> User:
    row = await request.app.state.pool.fetchrow(f"SELECT {COLUMNS} FROM admin_user WHERE id = $1", user_id)
    if row is None:
        raise HTTPException(404, "User not found")
    return user_of(row)


@app.post("/api/v1/users")
async def create_user(request: Request, user: NewUser, who: Caller) -> User:
    now = time.time_ns()
    metadata = {
        "method": request.method,
        "path": request.url.path,
        "user_agent": request.headers.get("user-agent", ""),
        "request_id": uuid.uuid4().hex,
    }
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            f"INSERT INTO admin_user ({COLUMNS}) VALUES ($1, 1, $2, $2, $3, $4, $5, $6, $7, $8, $9, NULL) RETURNING {COLUMNS}",
            str(uuid.uuid4()),
            now,
            user.email,
            user.display_name,
            user.avatar_url,
            user.auth_provider,
            user.external_id,
            int(user.is_active),
            int(user.is_platform_admin),
        )
        created = user_of(row)
        await connection.execute(
            "INSERT INTO audit_log (at, actor_id, actor_email, actor_ip, org_id, action, resource_type, resource_id, "
            "resource_name, changes, request_metadata, outcome) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            now,
            who["sub"],
            who.get("email"),
            request.client.host,
            None,
            "create",
            "user",
            created.id,
            created.email,
            json.dumps({"before": None, "after": created.model_dump()}),
            json.dumps(metadata),
            "success",
        )
    return created
