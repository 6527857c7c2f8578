"""Conviction voting: support gathers weight while it stays, and large requests need more of it.

After 1Hive's ``ConvictionVoting.sol`` and Zargham et al. (Commons Stack). With x tokens staked on a
proposal, conviction follows y <- a y + x each step, so after t steps

    y(t) = a**t y(0) + x (1 - a**t) / (1 - a),

and a request of r out of a fund of F is paid once y > rho S / ((1 - a) (beta - r / F)**2), S being
the effective supply; never where r / F >= beta. 1Hive's tests take a = 0.9, beta = 0.2 and
rho = 0.002; its contract counts in fixed point, here numbers are float64.
"""

from __future__ import annotations

import numpy as np

from daogym.envs.core.compiled import kernel_function


@kernel_function
def decay_over(decay: float, steps: int) -> float:
    """decay**steps by squaring, the same bits on every CPU."""
    result, factor = 1.0, decay
    while steps > 0:
        if steps & 1 == 1:
            result *= factor
        factor *= factor
        steps >>= 1
    return result


@kernel_function
def conviction_after(conviction: float, staked: float, decay: float, steps: int) -> float:
    """Conviction `steps` steps later, the stake unchanged; 0 <= decay < 1."""
    kept = decay_over(decay, steps)
    return kept * conviction + staked * (1.0 - kept) / (1.0 - decay)


@kernel_function
def conviction_threshold(
    supply: float, requested: float, funds: float, decay: float, largest_share: float,
    weight: float,
) -> float:  # fmt: skip
    """Conviction that a request must exceed; infinite for `largest_share` of the funds and more."""
    left = largest_share * funds - requested
    if left <= 0.0:
        return np.inf
    share = left / funds
    return weight * supply / ((1.0 - decay) * share * share)


@kernel_function
def is_funded(
    conviction: float, supply: float, requested: float, funds: float, decay: float,
    largest_share: float, weight: float,
) -> bool:  # fmt: skip
    """Whether the request is paid now (``executeProposal``: strictly more than the threshold)."""
    return conviction > conviction_threshold(
        supply, requested, funds, decay, largest_share, weight
    )  # fmt: skip
