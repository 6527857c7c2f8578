"""How functions that only compiled code calls are compiled: to LLVM code, not to machine code.

Numba makes a library of every function: it links the callees' code in, optimises all of it twice
and turns it into machine code. Compiled callers use the optimised code alone, and what they inline
they optimise again, so of a kernel's hundred and more callees the machine code is never run, and
the deeper a function is nested the more often its code is optimised. Here a callee's code is
optimised once and goes to its callers; entries are compiled as ever.
"""

from __future__ import annotations

from typing import Any

from numba import _dynfunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder, _LowerResult
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering


class CalleeLibrary(JITCodeLibrary):  # type: ignore[misc]
    """A library that is linked into others and never run."""

    def _optimize_final_module(self) -> None:
        manager, builder = self._codegen._module_pass_manager(
            loop_vectorize=False, slp_vectorize=False, opt=self._codegen._opt_level, cost="cheap"
        )
        with self._recorded_timings.record("Module passes of a callee", builder):
            manager.run(self._final_module, builder)

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class CalleeLowering(NativeLowering):  # type: ignore[misc]
    """Numba's lowering, without the machine code at its end."""

    _name = "callee_lowering"

    def run_pass(self, state: Any) -> bool:
        """Lower one function; `state` is Numba's."""
        target = state.targetctx
        state.library = CalleeLibrary(target.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        made = state["cr"]
        # Numba knows a compiled function by an object of its own, which is not called.
        key = _dynfunc.make_function(
            made.fndesc.lookup_module(), made.fndesc.qualname.split(".")[-1],
            made.fndesc.qualname, 0, made.env, (state.library,),
        )  # fmt: skip
        target.insert_user_function(key, made.fndesc, [state.library])
        state.reload_init.extend(state.library._reload_init)
        state["cr"] = _LowerResult(made.fndesc, made.call_helper, cfunc=key, env=made.env)
        return True


class CalleeCompiler(CompilerBase):  # type: ignore[misc]
    """The pipeline of `njit` with `CalleeLowering` in the place of Numba's."""

    def define_pipelines(self) -> list[Any]:
        """The one pipeline."""
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        manager.passes = [
            (CalleeLowering if kind is NativeLowering else kind, said)
            for kind, said in manager.passes
        ]
        manager.finalize()
        return [manager]
