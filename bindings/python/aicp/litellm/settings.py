"""Settings of the handler, from environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Mapping, Optional


@dataclass(frozen=True)
class Settings:
    """What the handler needs to know.

    ================== =============================================================== =========
    variable           meaning                                                         default
    ================== =============================================================== =========
    ``AICP_BUNDLE``    folder of the bundle, or ``http(s)://…`` of the server that     needed
                       has it; followed for new versions
    ``AICP_STORE``     ``sqlite:///path``, ``postgresql://…`` or ``http(s)://…`` of a  in memory
                       server that has the store: budgets, shared limits
    ``AICP_RATES``     ``redis://…``: where shared limits are counted instead          the store
    ``AICP_NODE``      name of this process group in the store                         host name
    ``AICP_EVENTS``    file to which events are appended as JSON Lines, or             the server
                       ``http(s)://…`` of a server that takes them                     of rules
    ``AICP_FAIL_MODE`` ``closed``: when the gate cannot decide, calls are refused      closed
                       with 503; ``open``: while the store or the bundle is out of
                       reach they pass unchecked, which is told in a header, a
                       counter and the log
    ``AICP_WAIT_MS``   how long one call may wait for the store                        2000
    ``AICP_THREADS``   threads that wait for the store and scan long texts             4
    ================== =============================================================== =========

    With a server:

    ====================== =========================================================== =========
    variable               meaning                                                     default
    ====================== =========================================================== =========
    ``AICP_SERVICE_KEY``   what this gate shows to the server                          none
    ``AICP_BUNDLE_CACHE``  folder for the disk copy of the rules, with which a worker  in the
                           starts while the server is away                             user's
                                                                                       cache
    ====================== =========================================================== =========
    """

    bundle: str = ""
    store: Optional[str] = None
    node: Optional[str] = None
    events: Optional[str] = None
    fail_open: bool = False
    wait_seconds: float = 2.0
    threads: int = 4
    rates: Optional[str] = None
    service_key: Optional[str] = field(default=None, repr=False)
    cache: Optional[str] = None

    @classmethod
    def from_env(cls, env: Optional[Mapping[str, str]] = None) -> "Settings":
        """Reads the environment. A value that makes no sense is a ValueError."""
        env = os.environ if env is None else env
        mode = env.get("AICP_FAIL_MODE", "closed").strip().lower()
        if mode not in ("open", "closed"):
            raise ValueError(f"AICP_FAIL_MODE must be open or closed, not {mode!r}")
        return cls(
            bundle=env.get("AICP_BUNDLE", ""),
            store=env.get("AICP_STORE") or None,
            rates=env.get("AICP_RATES") or None,
            service_key=env.get("AICP_SERVICE_KEY") or None,
            cache=env.get("AICP_BUNDLE_CACHE") or None,
            node=env.get("AICP_NODE") or None,
            events=env.get("AICP_EVENTS") or None,
            fail_open=mode == "open",
            wait_seconds=_whole(env, "AICP_WAIT_MS", 2000, 1, 60_000) / 1000,
            threads=_whole(env, "AICP_THREADS", 4, 1, 256),
        )


def _whole(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not text.isdigit() or not low <= int(text) <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {text!r}")
    return int(text)
