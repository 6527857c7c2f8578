"""Dynamic timelock: votes put into escrow delay execution, the more the longer.

After Lido's Dual Governance (``DualGovernanceConfig.calcVetoSignallingDuration``): with an escrowed
share R of the supply, execution waits 0 s below the first share, the longest delay from the second
share on, and a delay growing linearly in between; deployed with 1 % and 10 %, 5 and 45 days. The
wait counts from when the first share was reached and ends when strictly more time than the delay
has passed. If by then R has reached the second share, the dissenters leave (rage quit) and
execution stays blocked until their votes are taken out of the escrow.

Left out: the deactivation and cooldown phases (3 days, 5 hours), in which the contract first stops
new proposals, then lets waiting ones pass before the next round of signalling.
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .counting import multiply_divide
from .governor_layout import (
    G_VETO_ESCROWED,
    G_VETO_FIRST_PPB,
    G_VETO_MAX_S,
    G_VETO_MIN_S,
    G_VETO_SECOND_PPB,
    G_VETO_SINCE_S,
)
from .results import DONE, INVALID_AMOUNT

PPB = 1_000_000_000
"""Base of escrowed shares. The contract counts in 10**-18, so a delay may differ by a second."""

VETO_NONE, VETO_SIGNALLING, VETO_OVER, VETO_RAGE_QUIT = 0, 1, 2, 3


@kernel_function
def veto_delay_s(settings: Int, supply: int) -> int:
    """Seconds that execution waits while the escrow holds what it holds now."""
    if supply <= 0:
        return 0
    share = multiply_divide(settings[G_VETO_ESCROWED], PPB, supply)
    first: int = settings[G_VETO_FIRST_PPB]
    second: int = settings[G_VETO_SECOND_PPB]
    if share < first:
        return 0
    shortest: int = settings[G_VETO_MIN_S]
    longest: int = settings[G_VETO_MAX_S]
    if share >= second:
        return longest
    return shortest + (share - first) * (longest - shortest) // (second - first)


@kernel_function
def veto_state(settings: Int, supply: int, time_s: int) -> int:
    """One of VETO_NONE, VETO_SIGNALLING, VETO_OVER (waited long enough) and VETO_RAGE_QUIT."""
    if settings[G_VETO_MAX_S] == 0 or settings[G_VETO_SINCE_S] < 0:
        return VETO_NONE
    delay = veto_delay_s(settings, supply)
    if delay == 0:
        return VETO_NONE
    if time_s - settings[G_VETO_SINCE_S] <= delay:
        return VETO_SIGNALLING
    share = multiply_divide(settings[G_VETO_ESCROWED], PPB, supply)
    return VETO_RAGE_QUIT if share >= settings[G_VETO_SECOND_PPB] else VETO_OVER


@kernel_function
def veto_blocks(settings: Int, supply: int, time_s: int) -> bool:
    """Whether nothing may be executed now."""
    state = veto_state(settings, supply, time_s)
    return state in (VETO_SIGNALLING, VETO_RAGE_QUIT)


@kernel_function
def move_veto(settings: Int, amount: int, supply: int, time_s: int) -> int:
    """Put votes into the escrow (amount > 0) or take them out; the wait starts at the first share.

    Falling below the first share ends the wait.
    """
    escrowed = settings[G_VETO_ESCROWED] + amount
    if escrowed < 0 or escrowed > supply:
        return INVALID_AMOUNT
    settings[G_VETO_ESCROWED] = escrowed
    if escrowed == 0 or multiply_divide(escrowed, PPB, supply) < settings[G_VETO_FIRST_PPB]:
        settings[G_VETO_SINCE_S] = -1
    elif settings[G_VETO_SINCE_S] < 0:
        settings[G_VETO_SINCE_S] = time_s
    return DONE
