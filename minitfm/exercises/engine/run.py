"""Run a learner's code so that whatever it does, the checker stays in command."""

import contextlib
import ctypes
import io
import linecache
import random
import re
import signal
import sys
import sysconfig
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np
import torch

NOT_LEARNERS = [
    Path(torch.__file__).parent,
    Path(__file__).parents[2],
    Path(sysconfig.get_path("stdlib")),
    Path(sysconfig.get_path("purelib")),
]


PATIENCE = 4  # a second of waiting counts as a quarter of a second of work


class Stopwatch:
    """The time that a learner's code has taken: what it computed, not what it waited
    for, since on a busy machine it mostly waits its turn. Code that only sleeps is
    found out a few times later.
    """

    def __init__(self) -> None:
        """Start now."""
        self.began, self.idle = time.monotonic(), time.process_time()

    @property
    def seconds(self) -> float:
        """How long it has been."""
        passed = time.monotonic() - self.began
        return max(min(passed, time.process_time() - self.idle), passed / PATIENCE)


class Stopped(BaseException):
    """Raised inside the learner's code when its time is over; no `except Exception` can
    catch it.
    """


class Complaint(Exception):
    """A sentence to the learner, raised by the checker while it runs the learner's
    code.
    """


@dataclass
class Raised:
    """What the learner's code raised.

    Attributes:
        kind: the exception's class name.
        text: its message, without memory addresses, cut to 300 characters.
        line: the learner's own line in which it happened, or "" where none can be read.
        complaint: True if the text is a sentence of the checker's.
    """

    kind: str
    text: str
    line: str = ""
    complaint: bool = False


@dataclass
class Ran:
    """One guarded call: its value, or what it raised, or that it was stopped."""

    value: Any = None
    raised: Raised | None = None
    stopped: bool = False
    printed: bool = False


class _Listener(io.TextIOBase):
    """Takes what is printed, keeps nothing, and remembers that there was something."""

    heard = False

    def write(self, text: str) -> int:
        self.heard = self.heard or bool(text.strip())
        return len(text)


def guarded(
    function: Callable[..., Any], *args: Any, seconds: float, seed: int = 0
) -> Ran:
    """Call ``function(*args)``, stop it after ``seconds``, and let nothing out but
    Ctrl-C.

    Random numbers start from ``seed``; the caller's generators, default dtype and
    gradient mode are put back. Code that swallows BaseException, or stays in one call
    outside Python, cannot be stopped.
    """
    listener = _Listener()
    try:
        with (
            kept_state(seed),
            contextlib.redirect_stdout(listener),
            contextlib.redirect_stderr(listener),
            _kernel_kept(),
            stopped_after(seconds),
        ):
            value = function(*args)
    except KeyboardInterrupt:
        raise
    except Stopped:
        return Ran(stopped=True, printed=listener.heard)
    except BaseException as error:
        return Ran(raised=described(error), printed=listener.heard)
    return Ran(value, printed=listener.heard)


@contextlib.contextmanager
def kept_state(seed: int) -> Iterator[None]:
    """Start random numbers from ``seed``, with gradients on, and put the caller's
    generators, default dtype and gradient mode back at the end.
    """
    dtype, gradients = torch.get_default_dtype(), torch.is_grad_enabled()
    plain, array = random.getstate(), np.random.get_state()  # noqa: NPY002 (a learner may use the old one)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.set_grad_enabled(True)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_grad_enabled(gradients)
            random.setstate(plain)
            np.random.set_state(array)  # noqa: NPY002


@contextlib.contextmanager
def _kernel_kept() -> Iterator[None]:
    """Let a notebook's ``exit()``, which asks the kernel to stop, be the exception that
    it is elsewhere.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        yield
        return

    def refuse() -> None:
        raise SystemExit

    shell.ask_exit = refuse
    try:
        yield
    finally:
        del shell.ask_exit


def stopped_after(seconds: float) -> contextlib.AbstractContextManager[None]:
    """Raise Stopped in this thread after ``seconds`` of a `Stopwatch`, and again five times a second
    until the block ends.
    """
    if threading.current_thread() is threading.main_thread() and hasattr(
        signal, "setitimer"
    ):
        return _alarm(seconds)
    return _watchdog(seconds)


def importing(frame: FrameType | None) -> bool:
    """Whether a module is being loaded, which must not be left half loaded."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    armed, began, watch = True, time.monotonic(), Stopwatch()

    def ring(signum: int, frame: FrameType | None) -> None:
        if armed and watch.seconds >= seconds and not importing(frame):
            raise Stopped

    handler = signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 0.2)
    try:
        try:
            yield
        finally:
            armed = False
    finally:  # a second alarm may ring in the line above
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
        if left:  # somebody else's timer was running
            signal.setitimer(
                signal.ITIMER_REAL,
                max(1e-3, left - (time.monotonic() - began)),
                interval,
            )


@contextlib.contextmanager
def _watchdog(seconds: float) -> Iterator[None]:
    thread = ctypes.c_ulong(threading.get_ident())
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    lock, done, clock = threading.Lock(), threading.Event(), Stopwatch()

    def watch() -> None:
        wait = seconds
        while not done.wait(wait):
            with lock:
                frame = sys._current_frames().get(thread.value)
                over = clock.seconds >= seconds
                if over and not done.is_set() and not importing(frame):
                    raise_in(thread, ctypes.py_object(Stopped))
            wait = 0.2

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        try:
            yield
        finally:
            with lock:
                done.set()
    finally:
        done.set()
        watcher.join()


with contextlib.suppress(Stopped):  # one that was sent and has not arrived
    for _ in range(100):
        pass


def described(error: BaseException) -> Raised:
    """Put an exception into words that are the same on every run."""
    try:
        text = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException:
        text = ""
    text = re.sub(r"0x[0-9a-fA-F]{4,}", "0x…", " ".join(str.__str__(text).split()))
    return Raised(
        type(error).__name__,
        text[:300],
        learners_line(error),
        isinstance(error, Complaint),
    )


def learners_line(error: BaseException) -> str:
    """The deepest line of the traceback that is neither Python's, nor torch's, nor
    ours: ``line 3: `x @ y` ``.
    """
    found, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<frozen") and not in_library(file):
            code = linecache.getline(file, trace.tb_lineno).strip()
            found = f"line {trace.tb_lineno}" + (
                f": `{code.replace('`', chr(39))}`" if code else ""
            )
        trace = trace.tb_next
    return found


def in_library(file: str) -> bool:
    """Whether a file of code is Python's, torch's or ours: as it is named, or where its
    links lead, since installers link single files or whole folders.
    """
    return any(
        path.is_relative_to(known)
        for path in (Path(file).absolute(), Path(file).resolve())
        for folder in NOT_LEARNERS
        for known in (folder.absolute(), folder.resolve())
    )


@contextlib.contextmanager
def called(*codes: CodeType | None) -> Iterator[list[CodeType]]:
    """Note in the yielded list the first of these code objects whose function is called
    inside the block.
    """
    calls: list[CodeType] = []
    if not any(codes):
        yield calls
        return

    watched = {id(code) for code in codes}  # equal ones are others

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if id(frame.f_code) in watched and event == "call" and not calls:
            calls.append(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield calls
    finally:
        sys.setprofile(before)
