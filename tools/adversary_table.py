"""Trains adversaries and makes the table "A trained adversary" of docs/capture.md:

    python tools/adversary_table.py [--only CASE] [--seeds 0 1 2] [--steps N] [--print]

Each run trains the project's learner on the game of a case (`daogym.envs.dao.adversary`) and plays
the deterministic policy on episodes that training never saw.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy

from daogym.agents.learner import Learner
from daogym.agents.ppo import linear_schedule
from daogym.envs.adapters.sb3 import SB3VecEnv
from daogym.envs.core.statistics import bootstrap_interval
from daogym.envs.dao.adversary import make_adversary
from daogym.envs.dao.adversary_layout import EVENTS
from daogym.envs.dao.adversary_scripts import Story

PAGE = Path(__file__).resolve().parents[1] / "docs" / "capture.md"
TABLE = re.compile(r"(<!-- adversary -->\n).*?(<!-- end -->)", re.DOTALL)
PAIRS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("beanstalk", ()), ("beanstalk", ("snapshot",)),
    ("apathy", ()), ("apathy", ("quorum",)), ("apathy", ("timelock", "guardian")),
    ("late_vote", ()), ("late_vote", ("guardian",)),
    ("late_quorum", ()), ("late_quorum", ("late_quorum_extension",)),
)  # fmt: skip
STEPS = 196_608
LANES, EPISODES = 64, 128
EVALUATION_SEED = 1_000_000


@dataclass(frozen=True)
class Played:
    """What a policy did in each of the evaluation's episodes; dollars."""

    profit: NDArray[np.float64]
    loss: NDArray[np.float64]
    captured: NDArray[np.float64]


def train(case: str, defences: Sequence[str], seed: int, steps: int, lanes: int = LANES) -> Learner:
    """One adversary."""
    torch.set_num_threads(1)
    simulator = make_adversary(case, defences, lanes, stagger=True)
    learner = Learner(
        ActorCriticPolicy,
        SB3VecEnv(simulator),
        learning_rate=linear_schedule(1e-3),
        n_steps=64,
        batch_size=1024,
        n_epochs=6,
        gamma=0.999,
        gae_lambda=0.97,
        ent_coef=0.0,
        max_grad_norm=0.5,
        target_kl=0.05,
        policy_kwargs={"net_arch": {"pi": [64, 64], "vf": [64, 64]}, "log_std_init": -0.5},
        normalise_values=True,
        seed=seed,
        device="cpu",
    )
    learner.learn(steps)
    return learner


def play(case: str, defences: Sequence[str], learner: Learner | None) -> Played:
    """The deterministic policy, or the case's story where there is none, on unseen episodes."""
    simulator = make_adversary(case, defences, EPISODES, autoreset="disabled")
    simulator.reset(seed=EVALUATION_SEED)
    story = Story(simulator)
    profit, loss, captured = np.zeros(EPISODES), np.zeros(EPISODES), np.zeros(EPISODES)
    ended = np.zeros(EPISODES, dtype=np.bool_)
    while not ended.all():
        if learner is None:
            actions = story.actions()
        else:
            actions = learner.predict(simulator.observations, deterministic=True)[0]
        simulator.step(actions)
        profit += simulator.rewards
        loss += simulator.costs[:, 0]
        captured += simulator.events[:, EVENTS.index("executed")]
        ended |= simulator.terminated
    return Played(profit, loss, captured)


def money(values: NDArray[np.float64]) -> str:
    """Mean of (seeds, episodes) dollars with its 95 % interval over seeds and episodes."""
    seeds, episodes = values.shape
    groups = (np.arange(seeds)[:, None], np.arange(episodes)[None])
    found = bootstrap_interval(values, groups)
    return f"{short(found.estimate)} ({short(found.low)} to {short(found.high)})"


def short(dollars: float) -> str:
    """Millions with M, thousands with commas."""
    if abs(dollars) >= 1e6:
        return f"{dollars / 1e6:,.2f} M"
    return f"{dollars:,.0f}"


def row(case: str, defences: Sequence[str], seeds: Sequence[int], steps: int) -> str:
    """One line of the table."""
    begun = time.perf_counter()
    runs = [play(case, defences, train(case, defences, seed, steps)) for seed in seeds]
    story = play(case, defences, None)
    profit, loss = np.array([r.profit for r in runs]), np.array([r.loss for r in runs])
    captured = np.array([r.captured for r in runs])
    by_seed = " / ".join(f"{share:.0%}" for share in captured.mean(axis=1))
    line = (
        f"| `{case}` | {' + '.join(defences) or 'as it happened'} | {by_seed} | {money(loss)} | "
        f"{money(profit)} | {short(float(story.profit.mean()))} |"
    )
    print(line, f"{time.perf_counter() - begun:.0f} s", flush=True)
    return line


def table(seeds: Sequence[int], steps: int) -> str:
    """The whole table."""
    head = ("Case", "Rules", "Captured, by seed", "Treasury loss", "Profit", "Story's profit")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [row(case, defences, seeds, steps) for case, defences in PAIRS]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the table, or one case's lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="train on this case alone and print")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--print", action="store_true", help="do not write the page")
    chosen = parser.parse_args()
    if chosen.only:
        for case, defences in PAIRS:
            if case == chosen.only:
                row(case, defences, chosen.seeds, chosen.steps)
        return
    made = table(chosen.seeds, chosen.steps)
    if chosen.print:
        print(made)
        return
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda m: m[1] + made + m[2], text), encoding="utf-8")


if __name__ == "__main__":
    main()
