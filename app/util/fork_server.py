"""A process that forks children for us: in milliseconds, where starting a program anew takes a second and more.

It is forked while we have no threads yet, and never gets any, so its forks are safe whatever threads we have by then.
Its children have imported what we have, and share that memory. It ends with us, and ends them.

    we ──socketpair── the server        START and the child's files, or END and its process ID
    we ──── pipe ──── the server        news of one child: its process ID; later, how it ended
    we ──── pipes ─── the child         its standard input and output
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable
from typing import IO, NoReturn

_REQUEST = struct.Struct("!ci")
_START, _END = b"s", b"e"
_GONE = -signal.SIGKILL  # how a child ended whose server can't say it any more
_ENDED_WITH_US = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # what is meant for us is not for the server


class ForkServer:
    """Starts children that do one thing, ``become``, and end when that returns. Thread-safe.

    ``become`` finds its requests on standard input; the child is to end when that does.
    """

    def __init__(self, become: Callable[[], None]) -> None:
        """Raises RuntimeError in a process that has threads: what they hold just now would be held for ever."""
        if threading.active_count() > 1:
            raise RuntimeError("a fork server has to be made before the first thread is")
        self._socket, theirs = socket.socketpair()
        self._sending = threading.Lock()
        self._ended = False
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDED_WITH_US)  # until the server ignores them
        self._pid = _fork()
        if not self._pid:
            self._socket.close()
            _Server(theirs, become).serve(before)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    @property
    def is_alive(self) -> bool:
        if not self._ended:
            self._ended = os.waitpid(self._pid, os.WNOHANG)[0] != 0
        return not self._ended

    def start(self) -> ForkedChild:
        """Raises OSError when there can't be one."""
        (child_input, our_output), (our_input, child_output), (our_news, server_news) = (os.pipe() for _ in range(3))
        child = ForkedChild(self, os.fdopen(our_output, "wb"), os.fdopen(our_input, "rb"), os.fdopen(our_news, "rb"))
        given = (child_input, child_output, server_news)
        try:
            with self._sending:
                socket.send_fds(self._socket, [_REQUEST.pack(_START, 0)], given)
        except OSError:
            child.close()
            raise
        finally:
            for file in given:
                os.close(file)
        child.wait_for_start()
        return child

    def end(self, pid: int) -> None:
        """SIGKILL to this child and what it started; nothing when it has ended."""
        with self._sending, contextlib.suppress(OSError):
            self._socket.sendall(_REQUEST.pack(_END, pid))

    def close(self) -> None:
        """End it, and all its children."""
        self._socket.close()
        if not self._ended:
            os.waitpid(self._pid, 0)
            self._ended = True


class ForkedChild:
    """As ``subprocess.Popen`` has it, as far as is needed."""

    def __init__(self, server: ForkServer, stdin: IO[bytes], stdout: IO[bytes], news: IO[bytes]) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self._server = server
        self._news = news
        self._reading = threading.Lock()
        self._pid = 0
        self._code: int | None = None

    def wait_for_start(self) -> None:
        """Raises OSError when it was not started."""
        word = self._news.readline()
        if not word.startswith(b"pid "):
            self.close()
            raise OSError(word.decode().strip() or "the process that forks has ended, or has no room for more files")
        self._pid = int(word.split()[1])

    def poll(self) -> int | None:
        return self._end(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, negative for a signal. Raises TimeoutError."""
        code = self._end(timeout)
        if code is None:
            raise TimeoutError(f"process {self._pid} has not ended within {timeout:g} s")
        return code

    def end(self) -> None:
        """SIGKILL to it and what it started, from any thread."""
        self._server.end(self._pid)

    def close(self) -> None:
        for file in (self.stdin, self.stdout, self._news):
            with contextlib.suppress(BrokenPipeError):  # what was not written is lost
                file.close()

    def _end(self, timeout: float | None) -> int | None:
        with self._reading:
            if self._code is None and self._has_news(timeout):
                word = self._news.readline()
                self._code = int(word) if word.endswith(b"\n") else _GONE
            return self._code

    def _has_news(self, timeout: float | None) -> bool:
        waiting = select.poll()  # select() knows no file descriptor beyond 1,023
        waiting.register(self._news, select.POLLIN)
        return bool(waiting.poll(None if timeout is None else timeout * 1000))


class _Server:
    """The loop of the server's process."""

    def __init__(self, requests: socket.socket, become: Callable[[], None]) -> None:
        self._requests = requests
        self._become = become
        self._news: dict[int, int] = {}  # file descriptors, by the children that they are about

    def serve(self, mask: Iterable[int]) -> NoReturn:
        """``mask``: the signals to block once those that are not for us are ignored."""
        os.setsid()
        for number in _ENDED_WITH_US:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        requests = self._requests.fileno()
        bell, ring = os.pipe()
        os.set_blocking(ring, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        try:
            while True:
                ready, _, _ = select.select([requests, bell], [], [])
                if bell in ready:
                    os.read(bell, 4096)
                    self._bury()
                if requests in ready and not self._heed((bell, ring)):
                    break
        except OSError:
            pass  # we are gone
        except BaseException:  # it can't rise into the program that we were forked from
            sys.excepthook(*sys.exc_info())
        finally:
            for pid in self._news:
                _end_group(pid)
            os._exit(0)

    def _heed(self, own: tuple[int, int]) -> bool:
        """Do what is asked; False when nobody is there any more to ask."""
        request, files, _, _ = socket.recv_fds(self._requests, _REQUEST.size, 3)
        if len(request) < _REQUEST.size:
            return False
        word, pid = _REQUEST.unpack(request)
        if word == _START and len(files) == 3:
            self._start(files, own)
        elif word == _START:  # we have no room for its files; closing what came is how the other side learns of it
            for file in files:
                os.close(file)
        elif pid in self._news:
            _end_group(pid)
        return True

    def _start(self, files: list[int], own: tuple[int, int]) -> None:
        child_input, child_output, news = files
        try:
            pid = _fork()
        except OSError as error:
            os.write(news, f"{error}\n".encode())
            os.close(news)
        else:
            if not pid:
                self._be_child(child_input, child_output, (*own, news, *self._news.values()))
            with contextlib.suppress(OSError):  # the child does it as well: neither of us may come too late
                os.setpgid(pid, pid)
            self._news[pid] = news
            os.write(news, f"pid {pid}\n".encode())
        os.close(child_input)
        os.close(child_output)

    def _be_child(self, child_input: int, child_output: int, not_ours: tuple[int, ...]) -> NoReturn:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, *_ENDED_WITH_US):
            signal.signal(number, signal.SIG_DFL)
        os.setpgid(0, 0)
        self._requests.close()
        os.dup2(child_input, 0)
        os.dup2(child_output, 1)
        for file in (child_input, child_output, *not_ours):
            os.close(file)
        sys.stdin, sys.stdout = os.fdopen(0, "r"), os.fdopen(1, "w")  # ours may have been other files
        code = 1
        try:
            self._become()
            code = 0
        except BaseException:  # it can't rise into the server's loop; as at the end of a program, it is shown
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _bury(self) -> None:
        while self._news:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            _end_group(pid)  # what it has left behind
            news = self._news.pop(pid)
            with contextlib.suppress(BrokenPipeError):  # nobody wants to know
                os.write(news, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(news)


def _fork() -> int:
    """What is in a buffer is written once."""
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fork()


def _end_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
