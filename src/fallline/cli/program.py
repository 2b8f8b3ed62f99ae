"""A program of the user's, run as Python itself would run it."""

import builtins
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, TracebackType

INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended


@dataclass(frozen=True)
class Program:
    """`python words...`, or with `module` `python -m words...`."""

    words: tuple[str, ...]
    module: bool = False

    def run(self) -> BaseException | None:
        """Run it to its end; what ended it, with a traceback that begins in it."""
        with self._stage():
            try:
                if self.module:
                    runpy.run_module(self.words[0], run_name="__main__", alter_sys=True)
                else:
                    _script(Path(self.words[0]).absolute())
            except BaseException as error:
                return error.with_traceback(_own(error.__traceback__))
        return None

    def missing(self) -> str:
        """What is wrong before it starts, in words; empty where nothing is."""
        path = Path(self.words[0])
        if self.module or path.is_file() or (path / "__main__.py").is_file():
            return ""
        return f"There is no program {path}: name a .py file, or take -m for a module."

    @contextmanager
    def _stage(self) -> Iterator[None]:
        """sys.argv and sys.path[0] as a program finds them."""
        argv, path, main = sys.argv, list(sys.path), sys.modules["__main__"]
        where = Path.cwd() if self.module else Path(self.words[0]).absolute().parent
        sys.argv, sys.path[:1] = list(self.words), [str(where)]
        try:
            yield
        finally:
            sys.argv, sys.path[:], sys.modules["__main__"] = argv, path, main


def _script(path: Path) -> None:
    """What runpy.run_path does, which however writes its path into sys.argv[0]."""
    if path.is_dir():
        runpy.run_path(str(path), run_name="__main__")
        return
    main = sys.modules["__main__"] = ModuleType("__main__")
    known = {"__file__": str(path), "__cached__": None, "__package__": None, "__builtins__": builtins}
    vars(main).update(known, __loader__=SourceFileLoader("__main__", str(path)))
    exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), vars(main))


def leave(end: BaseException | None) -> None:
    """End this process as the program would have ended it: its exit code, its traceback."""
    if end is None:
        return
    if isinstance(end, SystemExit):
        raise end
    sys.stdout.flush()
    sys.excepthook(type(end), end, end.__traceback__)
    raise SystemExit(INTERRUPTED if isinstance(end, KeyboardInterrupt) else 1)


def _own(trace: TracebackType | None) -> TracebackType | None:
    """Without the frames of this file and of runpy; there is nothing left where the program could not even start."""
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, *_LAUNCHER):
        trace = trace.tb_next
    return trace


_LAUNCHER = (runpy.__file__, "<frozen runpy>", "<frozen importlib._bootstrap>")
