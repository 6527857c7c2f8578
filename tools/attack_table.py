"""Trains adversaries of a domain's DAO and makes their table of docs/capture.md:

    python tools/attack_table.py [--seeds 0 1 2] [--steps N] [--print]

The adversary learns alone in the supply network: its places do nothing, so levels follow the rule
of the zero action. It has the means of the case `beanstalk`, against rules with and without a
defence. Policies act as they learnt to, by drawing their actions, on episodes that training never
saw.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import daogym
from daogym.agents.adversary_learner import NETWORKS, learn_the_game
from daogym.agents.learner import Learner
from daogym.agents.multi_agent_policy import MultiAgentPolicy
from daogym.envs.adapters.multi_agent import MultiAgentVecEnv
from daogym.envs.core.shared_control import SharedControl, only
from daogym.envs.core.statistics import bootstrap_interval
from daogym.envs.dao.adversary_scripts import Story

PAGE = Path(__file__).resolve().parents[1] / "docs" / "capture.md"
TABLE = re.compile(r"(<!-- trained: domain -->\n)(.*?)(<!-- end -->)", re.DOTALL)
SCENARIO, MODE = "supply_network_attack", "node"
CASE = "beanstalk"
RULES: Mapping[str, Mapping[str, Any]] = {
    "as it happened": {},
    "snapshot": {"stress": {"defences": ["snapshot"]}},
    "timelock + guardian": {
        "roles": {"guardian": {"reaction_steps": 2}},
        "governor": {"guardian_veto": {"keeps": {"freight_tariff_share": [0.0, 0.15]}}},
    },
}
STEPS = 98_304
LANES, EPISODES = 64, 64
EVALUATION_SEED = 1_000_000


@dataclass(frozen=True)
class Played:
    """What happened in each of the evaluation's episodes; dollars."""

    profit: NDArray[np.float64]
    loss: NDArray[np.float64]
    captured: NDArray[np.float64]


def adversary_of(rules: Mapping[str, Any], lanes: int, **options: Any) -> Any:
    """The adversary as the only agent who does anything."""
    stress = {"case": CASE, **rules.get("stress", {})}
    scenario = {"base": SCENARIO, "charter": {**rules, "stress": stress}}
    simulator = daogym.make_simulator(scenario, lanes, action_mode=MODE, **options)
    domain: Any = simulator.domain
    return SharedControl(simulator, only(domain.as_agents(simulator).seats, "adversary"))


def train(rules: Mapping[str, Any], seed: int, steps: int) -> Learner:
    """An adversary that learns alone, by the project's PPO."""
    env = MultiAgentVecEnv(adversary_of(rules, LANES, stagger=True))
    settings = {**NETWORKS, "critic_key": "obs", "layout": env.layout}
    return learn_the_game(MultiAgentPolicy, env, settings, seed, steps)


def play(rules: Mapping[str, Any], learner: Learner | None) -> Played:
    """One unseen episode of each lane: a learnt policy, or the story of the case without one."""
    team = adversary_of(rules, EPISODES, autoreset="disabled")
    team.reset(seed=EVALUATION_SEED)
    torch.manual_seed(EVALUATION_SEED)
    simulator = team.simulator
    columns = team.seats.seats[0].acts
    decide: Callable[[], NDArray[np.float32]]
    if learner is None:
        story = Story(simulator)

        def decide() -> NDArray[np.float32]:
            return story.actions()[:, columns]
    else:
        state = np.zeros((EPISODES, _state_width(learner)), dtype=np.float32)

        def decide() -> NDArray[np.float32]:
            seen = {"obs": team.observations[:, 0], "state": state}
            return np.asarray(learner.predict(seen)[0])

    while not simulator.terminated.all():
        team.step(decide()[:, None].astype(np.float32))
    names = simulator.event_names
    profit, cents, executed = (
        simulator.events[:, names.index(name)].copy()
        for name in ("attack_profit", "treasury_loss_cents", "attack_executed")
    )
    return Played(profit, cents / 100.0, executed)


def _state_width(learner: Learner) -> int:
    space: Any = learner.observation_space
    return int(np.prod(space["state"].shape))


def money(runs: Sequence[Played], what: str) -> str:
    """Mean dollars with the 95 % interval over seeds and episodes."""
    values = np.array([getattr(run, what) for run in runs])
    groups = (np.arange(len(values))[:, None], np.arange(values.shape[1])[None])
    found = bootstrap_interval(values, groups)
    return f"{found.estimate:,.0f} ({found.low:,.0f} to {found.high:,.0f})"


def table(seeds: Sequence[int], steps: int) -> str:
    """A row for each set of rules."""
    lines = [
        "| Rules | Captured, by seed | Treasury loss | Profit | Story's profit |",
        "|---|---|---|---|---|",
    ]
    for name, rules in RULES.items():
        start = time.perf_counter()
        runs = [play(rules, train(rules, seed, steps)) for seed in seeds]
        story = float(play(rules, None).profit.mean())
        captured = " / ".join(f"{run.captured.mean():.0%}" for run in runs)
        row = (name, captured, money(runs, "loss"), money(runs, "profit"), f"{story:,.0f}")
        lines.append("| " + " | ".join(row) + " |")
        print(lines[-1], f"{time.perf_counter() - start:.0f} s", flush=True)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--print", action="store_true", help="do not write the page")
    chosen = parser.parse_args()
    made = table(chosen.seeds, chosen.steps)
    if not chosen.print:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(TABLE.sub(lambda m: m[1] + made + m[3], page), encoding="utf-8")


if __name__ == "__main__":
    main()
