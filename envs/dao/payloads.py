"""What an executed proposal does to the governor's own settings."""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .checkpoints import make_room, write_value
from .governor_layout import (
    G_LATE_QUORUM_EXTENSION,
    G_MIN_DELAY_S,
    G_NUMERATORS,
    G_PROPOSAL_THRESHOLD,
    G_QUORUM_DENOMINATOR,
    G_QUORUM_NUMERATOR,
    G_VOTING_DELAY,
    G_VOTING_PERIOD,
    GOVERNED,
)
from .results import (
    DONE,
    EXTENSION_TOO_LARGE,
    INVALID_QUORUM_FRACTION,
    INVALID_VALUE,
    INVALID_VOTING_PERIOD,
    NO_CHECKPOINT_ROOM,
)
from .votes import MAX_VOTES

LARGEST_DELAY = 2**48 - 1
"""Largest voting delay (steps) and timelock delay (s): uint48, as the contract stores snapshots."""
LARGEST_PERIOD = 2**32 - 1
"""Largest voting period (steps): uint32, as the contract stores it."""


@kernel_function
def parameter_refusal(settings: Int, parameter: int, value: int) -> int:
    """`DONE` where a governed setting may take this value now, else why not.

    A voting period of 0, a quorum above 100 % and an extension longer than the voting period are
    refused by the contracts. They would take a timelock delay beyond `LARGEST_DELAY`, after which
    no proposal could be queued any more; here it is refused.
    """
    if parameter < 0 or parameter >= GOVERNED or value < 0:
        return INVALID_VALUE
    if parameter == G_VOTING_PERIOD:
        if value == 0:
            return INVALID_VOTING_PERIOD
        return DONE if value <= LARGEST_PERIOD else INVALID_VALUE
    if parameter == G_QUORUM_NUMERATOR:
        return DONE if value <= settings[G_QUORUM_DENOMINATOR] else INVALID_QUORUM_FRACTION
    if parameter == G_LATE_QUORUM_EXTENSION:
        return DONE if value <= settings[G_VOTING_PERIOD] else EXTENSION_TOO_LARGE
    if parameter == G_PROPOSAL_THRESHOLD:
        return DONE if value <= MAX_VOTES else INVALID_VALUE
    if parameter in (G_VOTING_DELAY, G_MIN_DELAY_S):
        return DONE if value <= LARGEST_DELAY else INVALID_VALUE
    return INVALID_VALUE


@kernel_function
def set_parameter(settings: Int, parameter: int, value: int, step: int, pins: Int) -> int:
    """Give a governed setting a new value, or answer why not.

    The quorum numerator also gets a checkpoint at `step`: proposals whose snapshot is this step or
    later use the new value. `pins` are the snapshots of the proposals.
    """
    refusal = parameter_refusal(settings, parameter, value)
    if refusal != DONE:
        return refusal
    if parameter == G_QUORUM_NUMERATOR:
        if not make_room(settings[G_NUMERATORS:], step, pins):
            return NO_CHECKPOINT_ROOM
        write_value(settings[G_NUMERATORS:], step, value)
    settings[parameter] = value
    return DONE
