"""Supervisor: keeps several workers running behind one socket, and ends them in order.

The workers inherit the listening socket, so the kernel gives a connection to one that accepts it: a worker that is
dead, or hangs, keeps none that it hasn't accepted. The supervisor itself serves nothing and has no threads, so that it
may fork at any time.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Final

from llmstream.gateway.app import Gateway
from llmstream.gateway.limit_options import HTTP_LIMITS, SERVER_LIMITS
from llmstream.gateway.process import flaw_of, is_ignored_hangup, logger, report_unused
from llmstream.gateway.readiness import Readiness
from llmstream.gateway.server_store import ServerStore
from llmstream.gateway.settings import SettingsSource
from llmstream.gateway.shared_metrics import forget_process, shared_metrics
from llmstream.gateway.worker import LOADED, STARTED, WorkerPlace, WorkerProcess, pack_text
from llmstream.web.server import GRACE
from llmstream.wire.json_fields import present

FIRST_DELAY: Final = 0.5
"""Seconds before a dead worker is replaced. Doubled with each death that follows soon."""
LONGEST_DELAY: Final = 30.0
SOON: Final = 60.0
"""Seconds of life after which a worker's death counts as a first one."""
PATIENCE: Final = GRACE + 5.0
"""Seconds that workers have to end."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


@dataclass(slots=True)
class _Worker:
    """A process that runs."""

    pid: int
    control: socket.socket
    born: float
    loading: int = 0
    """Texts of the file that it hasn't taken up yet."""
    is_silent: bool = False
    """It has closed its end, and is about to end itself."""


class Supervisor:
    """Runs the workers of `source`. Raises ConfigurationError or ValueError for settings that they can't share."""

    def __init__(self, source: SettingsSource, text: str, conversations: str) -> None:
        self._source = source
        self._text = text
        self._conversations = conversations
        count = self._count = source.workers
        self._readiness = Readiness(count)
        self._workers: dict[int, _Worker] = {}
        self._due = dict.fromkeys(range(count), 0.0)
        """When a worker is to be started, by its index."""
        self._deaths = [0] * count
        self._has_started = False
        self._noted: list[int] = []
        self._deadline: float | None = None
        self._code = 0
        with shared_metrics():  # from the first use on, prometheus-client shares, or never
            self.gateway = self._check(text)
        audit = source.open_audit()  # raises for a file that no worker could write
        if audit is not None:
            audit.close()

    def run(self, listener: socket.socket, announce: Callable[[], None]) -> int:
        """Serve until SIGINT or SIGTERM; gives the exit code. A second signal ends the workers at once."""
        with self._signals() as wakeup, shared_metrics():
            announce()
            self._tell_shares()
            try:
                while self._workers or self._due:
                    self._start_due(listener)
                    self._wait(wakeup)
                    self._handle_signals(listener)
                    self._reap()
                    self._enforce_deadline()
            finally:
                self._kill(signal.SIGTERM)
        return self._code

    # --- signals -----------------------------------------------------------------------------------------------

    @contextmanager
    def _signals(self) -> Iterator[socket.socket]:
        """Meanwhile signals are noted, and the socket has something to read after each."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        is_reloadable = self._source.file is not None
        heard = [each for each in _SIGNALS if is_reloadable or not is_ignored_hangup(each)]
        before = {number: signal.signal(number, self._note_signal) for number in heard}
        wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        try:
            yield ours
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            ours.close()
            theirs.close()

    def _note_signal(self, number: int, _: FrameType | None) -> None:
        self._noted.append(number)

    def _handle_signals(self, listener: socket.socket) -> None:
        while self._noted:
            number = self._noted.pop(0)
            if number == signal.SIGHUP and self._source.file is not None:
                self._reload()
            elif number != signal.SIGCHLD:
                self._stop(listener)

    def _stop(self, listener: socket.socket) -> None:
        """Let the workers end their streams, or end them now if that was said before."""
        is_first = self._deadline is None
        if is_first:
            self._deadline = time.monotonic() + PATIENCE
            self._due.clear()
            listener.close()
        self._kill(signal.SIGTERM if is_first else signal.SIGKILL)

    def _kill(self, number: int) -> None:
        for worker in self._workers.values():
            with suppress(ProcessLookupError):
                os.kill(worker.pid, number)

    def _wait(self, wakeup: socket.socket) -> None:
        """Until a signal or a worker's word comes, or something is due."""
        times = [*self._due.values()]
        if self._deadline is not None:
            times.append(self._deadline)
        seconds = max(0.0, min(times) - time.monotonic()) if times else None
        controls = {
            worker.control: worker for worker in self._workers.values() if not worker.is_silent
        }
        readable, _, _ = select.select([wakeup, *controls], [], [], seconds)
        for each in readable:
            if each is wakeup:
                with suppress(BlockingIOError):
                    wakeup.recv(4096)
            else:
                self._read_report(controls[each])

    def _enforce_deadline(self) -> None:
        """End workers that had their time."""
        is_late = self._deadline is not None and time.monotonic() >= self._deadline
        if not is_late or not self._workers:
            return
        logger.error("%d workers had not ended after %g s", len(self._workers), PATIENCE)
        self._code = 1
        self._deadline = time.monotonic() + PATIENCE
        self._kill(signal.SIGKILL)

    def _read_report(self, worker: _Worker) -> None:
        """Read a worker's messages."""
        try:
            words = worker.control.recv(64)
        except OSError:
            words = b""
        worker.is_silent = not words
        if STARTED in words:
            self._has_started = True
        if LOADED in words:
            worker.loading -= words.count(LOADED)
            if not any(each.loading for each in self._workers.values()):
                logger.info("%s is in use: %s", self._source.file, self.gateway)

    # --- workers -----------------------------------------------------------------------------------------------

    def _start_due(self, listener: socket.socket) -> None:
        now = time.monotonic()
        for index in [index for index, due in self._due.items() if due <= now]:
            del self._due[index]
            try:
                self._workers[index] = self._fork(index, listener)
            except OSError as problem:  # no memory, too many processes or files
                if not self._has_started:
                    raise
                logger.error("a worker can't start: %s", problem.strerror)
                self._due[index] = now + LONGEST_DELAY

    def _fork(self, index: int, listener: socket.socket) -> _Worker:
        ours, theirs = socket.socketpair()
        # A signal must not find the child with our handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                ours.close()
                place = WorkerPlace(index, self._count, theirs, self._readiness)
                os._exit(self._work(place, listener))
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            theirs.close()
        ours.settimeout(1.0)
        return _Worker(pid, ours, time.monotonic())

    def _work(self, place: WorkerPlace, listener: socket.socket) -> int:
        """The life of a worker; gives its exit code."""
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            for other in self._workers.values():
                other.control.close()  # or those would not see the supervisor's end
            store = ServerStore(self._conversations)
            process = WorkerProcess(self._source, self._text, store, place)
            return process.run(listener, lambda: None)
        except BaseException:  # noqa: BLE001  # nothing of the supervisor's own life may go on here
            logger.exception("worker %d failed", os.getpid())
            return 1
        finally:
            logging.shutdown()
            sys.stderr.flush()

    def _reap(self) -> None:
        """Take note of those that have ended."""
        for index, worker in [*self._workers.items()]:
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid == 0:
                continue
            self._readiness.clear(index)
            forget_process(pid)
            worker.control.close()
            del self._workers[index]
            if self._deadline is None:
                self._replace(index, worker, os.waitstatus_to_exitcode(status))

    def _replace(self, index: int, worker: _Worker, code: int) -> None:
        """Have another one started in its place, unless none can ever start."""
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        if not self._has_started:
            logger.error("worker %d %s before any had started", worker.pid, how)
            self._code = 1
            self._deadline = time.monotonic() + PATIENCE
            self._due.clear()
            self._kill(signal.SIGTERM)
            return
        age = time.monotonic() - worker.born
        self._deaths[index] = 1 if age >= SOON else self._deaths[index] + 1
        delay = min(FIRST_DELAY * 2 ** (self._deaths[index] - 1), LONGEST_DELAY)
        logger.error("worker %d %s; another starts in %g s", worker.pid, how, delay)
        self._due[index] = time.monotonic() + delay

    # --- the configuration file --------------------------------------------------------------------------------

    def _reload(self) -> None:
        """Check the file, and have all workers go on with it."""
        try:
            text = self._source.read()
            gateway = self._check(text)
        except Exception as problem:  # noqa: BLE001  # nothing in a file ends a server
            report_unused(self._source.file, flaw_of(problem))
            return
        self._text, self.gateway = text, gateway
        self._tell_shares()
        for worker in self._workers.values():
            try:
                worker.control.sendall(pack_text(text))
                worker.loading += 1
            except OSError:
                # It ends once it has read what it got, and another takes its place.
                with suppress(OSError):
                    worker.control.shutdown(socket.SHUT_WR)
                logger.warning("worker %d hangs: it will be replaced", worker.pid)

    def _tell_shares(self) -> None:
        share = self.gateway.settings
        limits = ((share.limits, SERVER_LIMITS), (share.bounds, HTTP_LIMITS))
        shares = {
            each.name: getattr(owner, each.name)
            for owner, each_of in limits
            for each in each_of
            if each.is_divided
        }
        told = ", ".join(f"{name} {share}" for name, share in present(**shares).items())
        rates = " and of the rates" if share.rate or share.model_rates else ""
        words = "%d workers divide the limits: each has its part%s, so at most %s"
        logger.info(words, self._count, rates, told or "what it can")

    def _check(self, text: str) -> Gateway:
        """The settings that each worker will read from the file. Raises ConfigurationError or ValueError."""
        return Gateway(self._source.settings(text).share(0, self._count), ServerStore())
