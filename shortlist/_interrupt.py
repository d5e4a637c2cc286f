"""Ctrl-C of a command that takes long: said at once, what it waits for and how to stop now; a second one stops now.

Python runs handlers of signals in its main thread, between two of its instructions: late where that thread compiles,
and what a handler raises is lost inside a callback of a library's. So little is left to the main thread here: the
signal wakes a thread that waits for it, which speaks, and ends the process if it must.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

STATUS = 130  # 128 + SIGINT, as shells have it
SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it


class Interrupted(SystemExit):
    """The end of a command that Ctrl-C has stopped, which has said so."""


@contextlib.contextmanager
def interruptible(
    stop: threading.Event,
    *,
    waits_for: Callable[[], str],
    kept: str,
    at_once: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Lets Ctrl-C stop what runs in the context.

    The first one sets `stop` and says what is waited for; where that is nothing, it raises KeyboardInterrupt, as Ctrl-C
    does elsewhere. The second one ends the process with status 130, whatever it is doing. A context that ends after the
    first one, of itself or by KeyboardInterrupt or what a library made of that, says what is kept and raises
    `Interrupted`; other errors are raised as they are.

    Args:
      stop: what those who work look at. It must break off nothing that `waits_for` names.
      waits_for: says what has begun and is let end, such as "cohort 3 of digits/conv"; "" where there is nothing.
        Called from any thread, at any moment.
      kept: what is kept, and how to go on, such as "finished cohorts are kept, run the same command to go on".
      at_once: called before the second one ends the process, from another thread: to end children.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before == signal.SIG_IGN:
        yield  # only a main thread may handle signals, and whoever had Ctrl-C ignored meant it
        return
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    heard = threading.Event()  # the listener's alone, which may hear of a signal after the main thread
    raised = thrown = False

    def listen() -> None:
        while number := woken.recv(1):
            if number[0] != signal.SIGINT:
                continue
            if heard.is_set():
                _end(kept, at_once)
            heard.set()
            what = waits_for()  # before `stop`, which may end it
            stop.set()
            if what:
                _say(f"waiting for {what}; press Ctrl-C again to stop now")

    def in_main_thread(number: int, frame: object) -> None:
        nonlocal thrown
        if not waits_for():
            thrown = True
            raise KeyboardInterrupt

    listener = threading.Thread(target=listen, name="interrupts", daemon=True)
    # Set anew even where it is Python's own: a library's, as Polars', makes blocking calls go on as if nothing was.
    signal.signal(signal.SIGINT, in_main_thread)
    woken_before = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    listener.start()
    try:
        yield
    except KeyboardInterrupt:
        raised = True
    except Exception:
        if not thrown:
            raise
        raised = True  # a library caught what the handler raised; what is another's error shows again
    finally:
        signal.set_wakeup_fd(woken_before)
        signal.signal(signal.SIGINT, before)
        wakes.close()
        listener.join()
        woken.close()
    if raised or heard.is_set():
        _say(f"interrupted; {kept}")
        raise Interrupted(STATUS)


def _end(kept: str, at_once: Callable[[], object]) -> None:
    try:
        at_once()
    finally:
        _say(f"interrupted; {kept}", SHOW_CURSOR if sys.stderr.isatty() else "")
        os._exit(STATUS)


def _say(what: str, first: str = "") -> None:
    with contextlib.suppress(OSError):  # a terminal that is gone
        os.write(2, f"{first}shortlist: {what}\n".encode())
