"""The command line. Commands import this module first, and Ctrl-C is heard from here on: it ends
any command with one line and status 130."""

from __future__ import annotations

import contextlib
import os
import signal
from types import FrameType

INTERRUPTED = 130
NOTICE = "attnbench: interrupted\n"


class CtrlC:
    """The handler of Ctrl-C until a command sets one of its own.

    Attributes:
        pressed: whether it was, also where a library took the KeyboardInterrupt for an error.
    """

    def __init__(self) -> None:
        self.pressed = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.pressed or _is_importing(frame):
            # An interrupted import may leave the exception behind, or make another one of it.
            with contextlib.suppress(OSError):  # a terminal that is gone
                os.write(2, b"" if self.pressed else NOTICE.encode())
            os._exit(INTERRUPTED)
        self.pressed = True
        raise KeyboardInterrupt

    def listen(self) -> None:
        """Listen, unless somebody else does, or Ctrl-C is to be ignored."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(signal.SIGINT, self)

    def rest(self, *, at_exit: bool) -> None:
        """Listen no longer. Python's own handler would show a traceback while Python ends."""
        self.pressed = False
        if signal.getsignal(signal.SIGINT) is self:
            signal.signal(signal.SIGINT, signal.SIG_DFL if at_exit else signal.default_int_handler)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


ctrl_c = CtrlC()
ctrl_c.listen()
