"""The gate of this process, opened in a thread when the handler is made, and the threads that may
wait."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional, TypeVar

from ..errors import AicpError, BundleError, WouldBlockError
from ..gate import Gate
from .settings import Settings

log = logging.getLogger("aicp.litellm")
_T = TypeVar("_T")

_RETRY_SECONDS = 1.0
_RETRY_MOST_SECONDS = 30.0


class Runtime:
    """One gate and one small pool of threads a process; a worker that was forked gets its own."""

    def __init__(self, settings: Settings, opener: Optional[Callable[[Settings], Any]] = None) -> None:
        self.settings = settings
        self._opener = opener or _open
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._gate: Any = None
        self._pool: Optional[ThreadPoolExecutor] = None
        self._failure: Optional[AicpError] = None
        self._failed_at = 0.0
        self._ended = threading.Event()

    def start(self) -> None:
        """Opens the gate in a thread, so that wrong rules or a wrong store show in the log at once
        and the first call need not wait. Where that fails it is tried again, more and more rarely.
        A process that is forked later opens its own with its first call."""
        self._ended.clear()
        threading.Thread(target=self._keep_opening, name="aicp-open", daemon=True).start()

    def _keep_opening(self) -> None:
        pause = _RETRY_SECONDS
        while not self._ended.is_set():
            try:
                self.open()
                return
            except AicpError:
                pass  # open() has told the log
            except Exception:
                log.exception("the gate cannot be opened")
            self._ended.wait(pause)
            pause = min(2 * pause, _RETRY_MOST_SECONDS)

    def _mine(self) -> None:
        if self._pid != os.getpid():
            self._lock = threading.Lock()  # the parent's may have been held while it forked
            self._pid = os.getpid()
            self._gate = None
            self._pool = None
            self._failure = None
            self._ended = threading.Event()

    @property
    def pool(self) -> ThreadPoolExecutor:
        """Threads of this process."""
        self._mine()
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.settings.threads, thread_name_prefix="aicp")
            return self._pool

    @property
    def ready(self) -> Any:
        """The open gate, or None."""
        self._mine()
        return self._gate

    def open(self) -> Any:
        """Opens the gate, which may wait for the store. After a failure it is tried at most once a
        second; in between the same error is raised again."""
        self._mine()
        with self._lock:
            if self._gate is not None:
                return self._gate
            if self._failure is not None and time.monotonic() - self._failed_at < _RETRY_SECONDS:
                raise self._failure
            try:
                self._gate = self._opener(self.settings)
            except AicpError as error:
                if self._failure is None or str(self._failure) != str(error):
                    log.error("the gate cannot be opened: %s", error)
                self._failure = error
                self._failed_at = time.monotonic()
                raise
            self._failure = None
            log.info("gate open, bundle %s", self._gate.bundle_version)
            return self._gate

    def close(self) -> None:
        """Closes the gate of this process, if it has one; the next call opens another."""
        self._mine()
        self._ended.set()
        with self._lock:
            gate, self._gate = self._gate, None
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)
        if gate is not None:
            try:
                gate.flush()
            except AicpError as error:
                log.error("settlements could not be sent: %s", error)
            gate.close()

    async def in_thread(self, function: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
        """Runs a call that may wait, off the event loop."""
        loop = asyncio.get_running_loop()
        call = functools.partial(function, *args, **kwargs)
        return await loop.run_in_executor(self.pool, call)

    async def ask(self, function: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
        """Calls a function of the gate that takes ``wait``: at once if it need not wait, else in
        a thread."""
        try:
            return function(*args, wait=0.0, **kwargs)
        except WouldBlockError:
            wait = self.settings.wait_seconds
            return await self.in_thread(function, *args, wait=wait, **kwargs)


def _open(settings: Settings) -> Gate:
    if not settings.bundle:
        raise BundleError("AICP_BUNDLE is not set: there are no rules to go by")
    return Gate(
        settings.bundle,
        store=settings.store,
        rates=settings.rates,
        node=settings.node,
        events=settings.events,
        service_key=settings.service_key,
        cache=settings.cache,
        background=True,
    )
