"""Compiled code: decorators, and a cache that cannot be stale.

Numba's file cache looks at the source file of the cached function alone: a changed callee in
another file, or another value of ``NUMBA_BOUNDSCHECK``, silently reuses old machine code. So
entry points are cached in a folder named after a hash of every source of the package, of
Numba's version and flags; a change of any of them is a new folder. (The CPU's name and features
are part of Numba's own key.) The user's ``numba.config`` is left alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache

from .linked import CalleeCompiler, EntryCompiler, SeparateArraysCompiler

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE_ROOT = Path(__file__).resolve().parents[1]
_LOCK_SECONDS = 600.0
_UNSIGNED_SECONDS = 10.0
_KEPT_FOLDERS = 8


@cache
def source_hash() -> str:
    """Hex digest of every Python source under ``envs/`` and of all Numba settings."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE_ROOT.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE_ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    flags = sorted(
        f"{k}={v}"
        for k, v in os.environ.items()
        if k.startswith("NUMBA_") and k != "NUMBA_NUM_THREADS"
    )
    digest.update("\n".join([numba.__version__, sys.version, *flags]).encode())
    return digest.hexdigest()[:20]


def cache_root() -> Path:
    """Folder of everything daogym may delete and make again.

    ``DAOGYM_CACHE_DIR`` names it; else ``$XDG_CACHE_HOME/daogym``, else ``~/.cache/daogym``.
    """
    base = os.environ.get("DAOGYM_CACHE_DIR")
    if base:
        return Path(base)
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "daogym"


def compiled_folder() -> Path:
    """Folder of the machine code of exactly these sources."""
    return cache_root() / "compiled" / source_hash()


@cache
def _foreign_hash(folder: Path) -> str:
    """Hex digest of the sources beside a kernel that is not part of this package."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


class _SourceHashLocator:
    """Numba's cache locator protocol over `compiled_folder`.

    The folder's name stands for this package's sources; the stamp inside it also stands for the
    folder of a kernel that lies elsewhere, such as a user's own domain.
    """

    def __init__(self, source: Path) -> None:
        self._source = source

    def get_cache_path(self) -> str:
        return str(compiled_folder())

    def get_source_stamp(self) -> str:
        inside = _PACKAGE_ROOT in self._source.parents
        return source_hash() if inside else source_hash() + _foreign_hash(self._source.parent)

    def get_disambiguator(self) -> str:
        return ""

    def ensure_cache_path(self) -> None:
        compiled_folder().mkdir(parents=True, exist_ok=True)


class _SourceHashCacheImpl(CompileResultCacheImpl):  # type: ignore[misc]
    def __init__(self, py_func: Callable[..., Any]) -> None:
        self._lineno = py_func.__code__.co_firstlineno
        self._locator = _SourceHashLocator(Path(py_func.__code__.co_filename).resolve())
        name = f"{py_func.__module__}.{py_func.__qualname__}"
        self._filename_base = self.get_filename_base(name, getattr(sys, "abiflags", ""))


class _SourceHashCache(FunctionCache):  # type: ignore[misc]
    _impl_class = _SourceHashCacheImpl

    def __init__(self, py_func: Callable[..., Any], key: str) -> None:
        super().__init__(py_func)
        self._key = key

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        """Numba's own hashes what a closure holds, which for a compiled function is never twice
        the same; the folder's name stands for all code, and the key for what was compiled in."""
        return sig, codegen.magic_tuple(), self._key

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Machine code from disk; None where there is none or the folder cannot be read."""
        with contextlib.suppress(OSError):
            return super().load_overload(sig, target_context)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep machine code; a folder that cannot be written costs the next process its time."""
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)


def kernel_function(function: F) -> F:
    """A function called from compiled code; it is compiled into its callers."""
    return _compiled_once(function)


def inlined_function(function: F) -> F:
    """A `kernel_function` that is copied into every caller.

    Each array is handed to a function that is not inlined as seven to ten words, so in kernels of
    many short functions the calls cost more than the work.
    """
    return _compiled_once(function, forceinline=True)


def separate_arrays_function(function: F) -> F:
    """A `kernel_function` none of whose array arguments shares memory with another.

    Otherwise the optimiser must think that any number that is stored may change any other, and
    reads sizes, offsets and tables anew after each of them. Callers keep the promise: two views of
    one block, of which one is written to, are undefined behaviour. Owners must not be counted
    (`uncounted`): arrays share those.
    """
    return _compiled_once(function, SeparateArraysCompiler)


def _compiled_once(
    function: F, pipeline: type[CalleeCompiler] = CalleeCompiler, **options: Any
) -> F:
    """A callee, without what doubles a domain's cold start.

    Numba compiles a callee anew for every constant among its arguments (a stream's number, an
    event's column); here a constant is an int64 like any other. And it gives every function a face
    for Python and one for C; here only a function that Python does call gets them, from a
    compilation of its own.
    """
    compiled = numba.njit(error_model="numpy", fastmath=False, **options)(function)
    if numba.config.DISABLE_JIT:
        return compiled  # type: ignore[no-any-return]
    inner = numba.njit(
        error_model="numpy", fastmath=False, no_cpython_wrapper=True, no_cfunc_wrapper=True,
        pipeline_class=pipeline, **options,
    )(function)  # fmt: skip
    compiled.get_call_template = lambda args, kws: inner.get_call_template(
        tuple(numba.types.unliteral(kind) for kind in args),
        {name: numba.types.unliteral(kind) for name, kind in kws.items()},
    )
    compiled.get_overload = inner.get_overload
    return compiled  # type: ignore[no-any-return]


def kernel_entry(*, parallel: bool = False, key: str = "") -> Callable[[F], F]:
    """A function called from Python; its machine code is kept in `compiled_folder`.

    Args:
        key: names what else than its source and the types of its arguments the code depends on,
            see `specialised.py`.
    """

    def decorate(function: F) -> F:
        entry = numba.njit(
            error_model="numpy", fastmath=False, parallel=parallel, nogil=True,
            pipeline_class=EntryCompiler,
        )(function)  # fmt: skip
        if not numba.config.DISABLE_JIT:
            entry._cache = _SourceHashCache(function, key)
        return entry  # type: ignore[no-any-return]

    return decorate


@contextlib.contextmanager
def compile_lock(entry: Any, arguments: tuple[Any, ...] | None = None) -> Iterator[None]:
    """Hold this while `entry` is called for the first time; free once it is compiled.

    Processes that start together then compile an entry once and load the rest; each entry has a
    lock of its own, so that nobody waits for what they do not need. A lock left behind by a
    killed process is broken after ten minutes. A cache folder that cannot be written means
    compiling in memory, without a lock.

    Args:
        arguments: what the entry is about to be called with; by default the first call of all
            is taken to be the only one that compiles.
    """
    if not isinstance(entry, numba.core.dispatcher.Dispatcher) or _is_compiled(entry, arguments):
        yield
        return
    lock = compiled_folder() / f"{entry.__module__}.{entry.__qualname__}.compiling"
    deadline = time.monotonic() + _LOCK_SECONDS
    handle = -1
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        while handle < 0:
            try:
                handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                os.write(handle, str(os.getpid()).encode())
            except FileExistsError:
                if time.monotonic() > deadline or not _owner_lives(lock):
                    lock.unlink(missing_ok=True)
                time.sleep(0.02)
        _prune(lock.parent)
    except OSError:
        handle = -1
    try:
        yield
    finally:
        if handle >= 0:
            os.close(handle)
            lock.unlink(missing_ok=True)


def _is_compiled(entry: Any, arguments: tuple[Any, ...] | None) -> bool:
    if arguments is None:
        return bool(entry.signatures)
    return tuple(entry.typeof_pyval(value) for value in arguments) in entry.overloads


def _owner_lives(lock: Path) -> bool:
    try:
        text = lock.read_text()
        if not text:  # made a moment ago, or its maker died before it could sign
            return time.time() - lock.stat().st_mtime < _UNSIGNED_SECONDS
        os.kill(int(text), 0)
    except (FileNotFoundError, PermissionError):
        return True
    except (ProcessLookupError, ValueError):
        return False
    return True


def _prune(current: Path) -> None:
    folders = [p for p in current.parent.iterdir() if p.is_dir() and p != current]
    folders.sort(key=lambda p: p.stat().st_mtime, reverse=True)
    for folder in folders[_KEPT_FOLDERS - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)
