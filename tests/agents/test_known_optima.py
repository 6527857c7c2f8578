"""What is learnt is the known best: a team's Riccati solution, a mixed policy under a limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import torch
from numpy.typing import NDArray

from daogym.agents.learner import Learner
from daogym.agents.multi_agent_policy import MultiAgentPolicy
from daogym.envs.adapters.multi_agent import MultiAgentVecEnv

Float = NDArray[np.float64]


def simulated_cost(world: Any, act: Callable[[Float], Float]) -> float:
    """Mean discounted cost of 4,000 runs of 100 steps, the same starts and noise for everybody."""
    generator = np.random.default_rng(1)
    x = generator.uniform(-1.5, 1.5, (4000, 2))
    total = 0.0
    for step in range(100):
        u = np.clip(act(x), -world.PUSH, world.PUSH)
        cost = (x * (x @ world.Q)).sum(axis=1) + (u * (u @ world.R)).sum(axis=1)
        total += world.GAMMA**step * float(cost.mean())
        noise = world.NOISE * generator.standard_normal(x.shape)
        x = np.clip(x @ world.A.T + u @ world.B.T + noise, -world.BOUND, world.BOUND)
    return total


def test_the_riccati_solution_is_the_best_linear_team(lq_team: Any) -> None:
    """Among other gains, found by search with the exact cost of each."""
    x = np.random.default_rng(0).uniform(-1.5, 1.5, (500, 2))
    best = lq_team.optimal_gain()

    def cost(gains: Float) -> float:
        return float(lq_team.expected_cost(gains.reshape(2, 2), x).mean())

    tight = {"maxiter": 2000, "xatol": 1e-6, "fatol": 1e-10}
    found = scipy.optimize.minimize(cost, [0.5, 0.1, 0.1, 0.5], method="Nelder-Mead", options=tight)
    assert best.ravel() == pytest.approx(found.x, abs=1e-3)
    # The bounds of state and push, which the linear problem does not have, matter little.
    starts = np.random.default_rng(1).uniform(-1.5, 1.5, (4000, 2))
    exact = float(lq_team.expected_cost(best, starts).mean())
    assert simulated_cost(lq_team, lambda x: -x @ best.T) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize(
    ("key", "groups"),
    [("obs", False), ("state", False), ("state", True)],
    ids=["ippo", "mappo", "mappo of two groups"],
)
@pytest.mark.slow
def test_a_team_comes_within_two_per_cent_of_the_optimum(
    lq_team: Any, key: str, groups: bool
) -> None:
    torch.set_num_threads(1)
    env = MultiAgentVecEnv(lq_team.LqTeam(256, groups=groups), team_share=1.0)
    model = Learner(
        MultiAgentPolicy,
        env,
        learning_rate=lambda left: 3e-3 * left,
        n_steps=8,
        batch_size=2048,
        n_epochs=6,
        gamma=lq_team.GAMMA,
        gae_lambda=0.9,
        policy_kwargs={
            "net_arch": {"pi": [16], "vf": [32, 32]},
            "critic_key": key,
            "layout": env.layout,
            "log_std_init": -1.0,
        },
        seed=0,
        device="cpu",
        normalise_values=True,
        huber_delta=10.0,
        clip_by_group=True,
    )
    model.learn((160 if groups else 200) * 8 * env.num_envs)

    shown = lq_team.LqTeam(4000, groups=groups)
    face = MultiAgentVecEnv(shown)

    def act(x: Float) -> Float:
        shown.x = x
        shown._observe()
        actions, _ = model.predict(face.resume_observations(), deterministic=True)  # type: ignore[arg-type]
        return np.asarray(lq_team.PUSH * actions.reshape(-1, 2), dtype=np.float64)

    gain = lq_team.optimal_gain()
    optimum = simulated_cost(lq_team, lambda x: -x @ gain.T)
    assert simulated_cost(lq_team, act) < 1.02 * optimum
    alone = simulated_cost(lq_team, lambda x: -x * np.diag(gain))
    assert alone > 1.02 * optimum, "a team that does not look at the other half is worse"


def solve_two_states(world: Any, limit: float) -> float:
    """Best reward by the linear programme of Altman (1999) over expected visits."""
    q = world.STAY
    # Visits of (fresh, rest), (fresh, run), (worn, rest), (worn, run).
    balance = [[1.0 - q, 1.0, -q, 0.0], [0.0, -q, 1.0, 1.0 - q]]
    found = scipy.optimize.linprog(
        [0.0, -1.0, 0.0, -1.0], A_ub=[[0.0, 0.0, 0.0, 1.0]], b_ub=[limit],
        A_eq=balance, b_eq=[1.0, 0.0],
    )  # fmt: skip
    return float(-found.fun)


@pytest.mark.parametrize("limit", [0.0, 1.0, 3.0, 9.0])
def test_the_closed_form_is_the_linear_programme_s(two_state: Any, limit: float) -> None:
    probability, reward = two_state.best_mixture(limit)
    assert reward == pytest.approx(solve_two_states(two_state, limit), rel=1e-6)
    assert two_state.reward_and_cost(1.0, probability) == pytest.approx((reward, limit))


def learnt_mixture(
    world: Any, limits: dict[str, float], rollouts: int
) -> tuple[Learner, tuple[float, float]]:
    torch.set_num_threads(1)
    model = Learner(
        "MlpPolicy",
        world.TwoStateEnv(256),
        learning_rate=lambda left: 1e-2 * left,
        n_steps=32,
        batch_size=8192,
        n_epochs=2,
        gamma=1.0,
        policy_kwargs={"net_arch": {"pi": [16], "vf": [16]}},
        seed=0,
        device="cpu",
        cost_limits=limits,
        multiplier_rate=0.1,
        multiplier_proportional=4.0,
    )
    model.learn(rollouts * 32 * 256)
    with torch.no_grad():
        distribution: Any = model.policy.get_distribution(torch.eye(2)).distribution
    run_fresh, run_worn = distribution.probs[:, world.RUN].double().tolist()
    return model, (run_fresh, run_worn)


@pytest.mark.slow
def test_ppo_lagrangian_finds_the_best_mixture_within_the_limit(two_state: Any) -> None:
    """A second limit, of 8 runs, does not bind: within the first, 6.8 are the most."""
    limit = 3.0
    model, mixture = learnt_mixture(two_state, {"runs": 8.0, "wear": limit}, 120)
    reward, cost = two_state.reward_and_cost(*mixture)
    probability, best = two_state.best_mixture(limit)
    assert cost == pytest.approx(limit, rel=0.05)
    assert mixture == pytest.approx((1.0, probability), abs=0.04)
    assert reward == pytest.approx(best, rel=0.03)
    # One more unit of cost buys 1 / (1 + q) of reward; multipliers are per limit.
    assert model.constraints is not None and model.constraints.names == ("wear", "runs")
    wear_multiplier, runs_multiplier = model.constraints.multipliers.tolist()
    assert wear_multiplier / limit == pytest.approx(1.0 / (1.0 + two_state.STAY), rel=0.1)
    assert runs_multiplier < 0.05


def test_ppo_violates_the_limit(two_state: Any) -> None:
    model, mixture = learnt_mixture(two_state, {}, 40)
    assert model.constraints is None
    reward, cost = two_state.reward_and_cost(*mixture)
    assert cost > 2.5 * 3.0 and reward > 9.5
