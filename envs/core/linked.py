"""Machine code once: callees are linked into an entry, and only the entry is optimised.

By default Numba optimises and emits a library for every function that it compiles, with all that
the function calls linked in, so a leaf is optimised once for each of its callers' callers; a
parallel loop adds two more rounds over the whole kernel. Here a callee's library holds its code as
Numba wrote it. The entry links all of them, and LLVM's optimiser and code generator run once.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from llvmlite.binding import Linkage, parse_assembly
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

from .indices import count_from_the_start

# What Numba calls the libraries of a parallel loop's body and of the wrapper around it.
_PARFOR_LIBRARIES = ("__numba_parfor_gufunc", "<numba.np.ufunc.wrappers.", "parallelgufuncwrapper")

_PRIVATE = "private."


class _NoEnvironments:
    """A code generator that is told of no environment: a callee has no address to put one at."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, name: str, environment: Any) -> None:
        """Entries alone have environments: they talk to Python."""


class KernelLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code in which array indices count from the start."""

    def create_ir_module(self, name: str) -> Any:
        return count_from_the_start(super().create_ir_module(name))


class CalleeLibrary(KernelLibrary):
    """Code that other libraries link; it is never run by itself and has no address."""

    @property
    def codegen(self) -> Any:
        return _NoEnvironments(self._codegen)

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0

    def _optimize_final_module(self) -> None:
        """Left to the entry."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class EntryLibrary(KernelLibrary):
    """Code that is run, whose callees are its own.

    Numba links callees so that other libraries could share them, and LLVM then may not touch how
    they are called. As private functions they lose arguments that are not read, of the seven to
    ten words of each array most, and get constants handed down.

    The optimiser's two rounds are Numba's own: a cheap one, in which its pass strikes out pairs of
    counts, and the full one. In between counting is inlined (`_with_counts_inlined`).
    """

    _final_module: Any

    def _optimize_final_module(self) -> None:
        # Under their own names the loader would take them for other libraries' functions.
        for function in list(self._final_module.functions):
            if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                function.linkage = Linkage.internal
                function.name = _PRIVATE + function.name
        codegen = self._codegen
        cheap, builder = codegen._module_pass_manager(
            loop_vectorize=codegen._loopvect, slp_vectorize=False, opt=codegen._opt_level,
            cost="cheap",
        )  # fmt: skip
        cheap.run(self._final_module, builder)
        self._final_module = parse_assembly(_with_counts_inlined(str(self._final_module)))
        full, builder = codegen._module_pass_manager()
        full.run(self._final_module, builder)


def _with_counts_inlined(module: str) -> str:
    """LLVM assembly in which what counts an array's users is inlined where it is called.

    Numba keeps these two functions apart so that its own pass can strike out pairs of calls; that
    has been done by now. Inlined, nothing is left of a call for an array without an owner
    (`uncounted`), and no call stands between two reads of such an array.
    """
    defined = re.compile(
        rf'^(define [^\n]*@"?{re.escape(_PRIVATE)}NRT_(?:in|de)cref"?\([^\n]*\)[^#\n]*)#\d+', re.M
    )
    return defined.sub(r"\1alwaysinline nounwind", module)


class CalleeCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler, into a `CalleeLibrary`."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        self.state.library = CalleeLibrary(self.state.targetctx.codegen(), func.__qualname__)
        return super().compile_extra(func)


class SeparateArraysCompiler(CalleeCompiler):
    """A `CalleeCompiler` that tells LLVM that no two of a function's array arguments overlap."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        self.state.flags.noalias = True
        return super().compile_extra(func)


class EntryCompiler(Compiler):  # type: ignore[misc]
    """Numba's compiler; what it makes of a parallel loop goes into libraries of callees."""

    def compile_extra(self, func: Callable[..., Any]) -> Any:
        codegen = self.state.targetctx.codegen()
        self.state.library = EntryLibrary(codegen, func.__qualname__)
        self.state.library.enable_object_caching()
        with _loops_as_callees(codegen):
            return super().compile_extra(func)


@contextlib.contextmanager
def _loops_as_callees(codegen: Any) -> Iterator[None]:
    plain = codegen.create_library

    def create_library(name: str, **options: Any) -> Any:
        if name.startswith(_PARFOR_LIBRARIES):
            return CalleeLibrary(codegen, name, **options)
        return plain(name, **options)

    codegen.create_library = create_library
    try:
        yield
    finally:
        codegen.create_library = plain
