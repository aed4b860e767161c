"""What happens between two training steps: a progress bar, the caller's callable, Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Union

try:
    import tqdm.auto as _tqdm
except ImportError:  # Only the bar needs it.
    _tqdm = None  # type: ignore[assignment]

#: A bar or none, or a callable of (done, total) that may return True to stop.
Progress = Union[bool, Callable[[int, int], Any]]


class Watcher:
    """What the library calls after every step."""

    def __init__(self, report: Callable[[int, int], Any], interrupted: threading.Event) -> None:
        self.error: BaseException | None = None
        self.stopped = False
        self._report = report
        self._interrupted = interrupted

    def step_done(self, _userdata: Any, done: int, total: int) -> int:
        """Non-zero stops the training."""
        try:
            self.stopped = bool(self._report(done, total)) or self._interrupted.is_set()
        except BaseException as error:
            self.error = error
            self.stopped = True
        return int(self.stopped)


@contextlib.contextmanager
def reporting(progress: Progress) -> Iterator[Callable[[int, int], Any]]:
    """The callable behind each kind of ``progress``."""
    if callable(progress):
        yield progress
    elif progress and _tqdm is not None:
        with _tqdm.tqdm(unit="step") as bar:

            def advance(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield advance
    else:
        yield lambda _done, _total: None


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Turns the first Ctrl-C into an event, so that it cannot hit in the middle of a callback."""
    interrupted = threading.Event()
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        # Signals go elsewhere, or the program has its own idea of Ctrl-C.
        yield interrupted
        return

    def on_interrupt(_number: int, _frame: Any) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
