"""Trains adversaries, and operators beside them, and makes their tables of docs/capture.md:

    python tools/adversary_table.py [--only CASE] [--table NAME] [--seeds 0 1 2] [--steps N]

`adversary`: on the game of each case (`daogym.envs.dao.adversary`), with and without defences.
`operator`: an operator that learnt without any attack, and one that learnt with a trained adversary
present, both against that adversary; then an adversary that learnt with the second one present.
Policies act as they learnt to, by drawing their actions, on episodes that training never saw.
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
from stable_baselines3.common.policies import ActorCriticPolicy

from daogym.agents.adversary_learner import NETWORKS, learn_the_game
from daogym.agents.learner import Learner
from daogym.agents.multi_agent_policy import MultiAgentPolicy
from daogym.envs.adapters.multi_agent import MultiAgentVecEnv
from daogym.envs.adapters.sb3 import SB3VecEnv
from daogym.envs.core.simulator import Simulator
from daogym.envs.core.statistics import bootstrap_interval
from daogym.envs.dao.adversary import make_adversary
from daogym.envs.dao.adversary_agents import PLACES, CaptureAgents, FixedPolicy, Name
from daogym.envs.dao.adversary_layout import EVENTS
from daogym.envs.dao.adversary_scripts import Story

PAGE = Path(__file__).resolve().parents[1] / "docs" / "capture.md"
TABLE = re.compile(r"(<!-- trained: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
PAIRS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("beanstalk", ()), ("beanstalk", ("snapshot",)),
    ("apathy", ()), ("apathy", ("quorum",)), ("apathy", ("timelock", "guardian")),
    ("late_vote", ()), ("late_vote", ("guardian",)),
)  # fmt: skip
WITH_OPERATOR = ("beanstalk", "apathy")
STEPS = {"beanstalk": 196_608, "apathy": 196_608, "late_vote": 393_216}
"""Decisions of a training; several days of buying lie between a late vote and its price."""
OPERATOR_STEPS = 98_304
LANES, EPISODES = 64, 128
EVALUATION_SEED = 1_000_000


@dataclass(frozen=True)
class Played:
    """What happened in each of the evaluation's episodes; dollars."""

    profit: NDArray[np.float64]
    loss: NDArray[np.float64]
    captured: NDArray[np.float64]
    operator_cost: NDArray[np.float64]


# --- learning -------------------------------------------------------------------------------------


def train(case: str, defences: Sequence[str], seed: int, steps: int) -> Learner:
    """An adversary alone."""
    simulator = make_adversary(case, defences, LANES, stagger=True)
    return learn_the_game(ActorCriticPolicy, SB3VecEnv(simulator), dict(NETWORKS), seed, steps)


def train_beside(
    case: str, name: Name, fixed: dict[Name, FixedPolicy], seed: int, steps: int
) -> FixedPolicy:
    """Adversary or operator, the other one fixed (or idle, where it is not given)."""
    simulator = make_adversary(case, (), LANES, operator=True, stagger=True)
    agents: Any = CaptureAgents(simulator, (name,), fixed)
    env = MultiAgentVecEnv(agents)
    settings = {**NETWORKS, "critic_key": "obs", "layout": env.layout}
    learner = learn_the_game(MultiAgentPolicy, env, settings, seed, steps)
    width = int(np.prod(env.observation_space["state"].shape))  # type: ignore[index]

    def policy(observations: NDArray[np.float32]) -> NDArray[np.float32]:
        state = np.zeros((len(observations), width), dtype=np.float32)
        return np.asarray(learner.predict({"obs": observations, "state": state})[0])

    return policy


# --- playing --------------------------------------------------------------------------------------


def play_on(simulator: Simulator, decide: Callable[[], NDArray[np.float32]]) -> Played:
    """One unseen episode of each lane."""
    sums = np.zeros((4, simulator.num_envs))
    ended = np.zeros(simulator.num_envs, dtype=np.bool_)
    executed, spent = EVENTS.index("executed"), EVENTS.index("operator_cost")
    while not ended.all():
        simulator.step(decide())
        sums[0] += simulator.rewards
        sums[1] += simulator.costs[:, 0]
        sums[2] += simulator.events[:, executed]
        sums[3] += simulator.events[:, spent]
        ended |= simulator.terminated
    return Played(*sums)


def begun(case: str, defences: Sequence[str] = (), operator: bool = False) -> Simulator:
    """The evaluation's episodes at their beginning."""
    simulator = make_adversary(
        case, defences, EPISODES, operator=operator, autoreset="disabled"
    )  # fmt: skip
    simulator.reset(seed=EVALUATION_SEED)
    torch.manual_seed(EVALUATION_SEED)
    return simulator


def play(case: str, defences: Sequence[str], learner: Learner | None) -> Played:
    """A learnt policy, or the case's story where there is none."""
    simulator = begun(case, defences)
    if learner is None:
        return play_on(simulator, Story(simulator).actions)
    return play_on(simulator, lambda: learner.predict(simulator.observations)[0])


def play_both(case: str, policies: Mapping[Name, FixedPolicy]) -> Played:
    """Adversary and operator against each other; who is not given does nothing."""
    simulator = begun(case, operator=True)

    def decide() -> NDArray[np.float32]:
        actions = np.zeros((EPISODES, simulator.action_size), dtype=np.float32)
        for name, policy in policies.items():
            actions[:, PLACES[name]] = policy(simulator.observations)
        return actions

    return play_on(simulator, decide)


# --- tables ---------------------------------------------------------------------------------------


def money(runs: Sequence[Played], what: str) -> str:
    """Mean dollars with the 95 % interval over seeds and episodes."""
    values = np.array([getattr(run, what) for run in runs])
    groups = (np.arange(len(values))[:, None], np.arange(values.shape[1])[None])
    found = bootstrap_interval(values, groups)
    return f"{short(found.estimate)} ({short(found.low)} to {short(found.high)})"


def short(dollars: float) -> str:
    """Millions with M, else whole dollars with commas."""
    if abs(dollars) >= 1e6:
        return f"{dollars / 1e6:,.2f} M"
    return f"{round(dollars) + 0:,}"


def shares(runs: Sequence[Played]) -> str:
    """Captured episodes, by seed."""
    return " / ".join(f"{run.captured.mean():.0%}" for run in runs)


def adversary_table(cases: Sequence[str], seeds: Sequence[int], steps: int | None) -> str:
    """Rules with and without defences."""
    head = ("Case", "Rules", "Captured, by seed", "Treasury loss", "Profit", "Story's profit")
    rows = []
    for case, defences in PAIRS:
        if case in cases:
            start = time.perf_counter()
            runs = [
                play(case, defences, train(case, defences, seed, steps or STEPS[case]))
                for seed in seeds
            ]
            story = float(play(case, defences, None).profit.mean())
            rows.append((f"`{case}`", " + ".join(defences) or "as it happened", shares(runs),
                         money(runs, "loss"), money(runs, "profit"), short(story)))  # fmt: skip
            print(*rows[-1], f"{time.perf_counter() - start:.0f} s", sep=" | ", flush=True)
    return markdown(head, rows)


def operator_table(cases: Sequence[str], seeds: Sequence[int], steps: int | None) -> str:
    """Operators that learnt without and with an adversary."""
    head = ("Case", "Operator", "Adversary", "Captured, by seed", "The DAO's loss",
            "of it the operator's acts", "Adversary's profit")  # fmt: skip
    rows = []
    for case in (case for case in WITH_OPERATOR if case in cases):
        found: dict[tuple[str, str], list[Played]] = {}
        for seed in seeds:
            n = steps or OPERATOR_STEPS
            first = train_beside(case, "adversary", {}, seed, n)
            naive = train_beside(case, "operator", {}, seed, n)
            aware = train_beside(case, "operator", {"adversary": first}, seed, n)
            second = train_beside(case, "adversary", {"operator": aware}, seed, n)
            players: list[tuple[str, str, dict[Name, FixedPolicy]]] = [
                ("none", "trained", {"adversary": first}),
                ("trained without", "trained", {"adversary": first, "operator": naive}),
                ("trained with it", "trained", {"adversary": first, "operator": aware}),
                ("trained with it", "none", {"operator": aware}),
                ("trained with it", "trained against it", {"adversary": second, "operator": aware}),
            ]
            for operator, adversary, policies in players:
                played = play_both(case, policies)
                found.setdefault((operator, adversary), []).append(played)
                print(case, seed, operator, adversary, played.captured.mean(),
                      played.loss.mean(), played.profit.mean(), flush=True)  # fmt: skip
        for (operator, adversary), runs in found.items():
            rows.append((f"`{case}`", operator, adversary, shares(runs), money(runs, "loss"),
                         money(runs, "operator_cost"), money(runs, "profit")))  # fmt: skip
            print(*rows[-1], sep=" | ", flush=True)
    return markdown(head, rows)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


TABLES = {"adversary": adversary_table, "operator": operator_table}


def main() -> None:
    """Make the tables, or those of one case to look at."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="this case alone; the page is not written")
    parser.add_argument("--table", choices=list(TABLES), help="this table alone")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="default: those of the page")
    parser.add_argument("--print", action="store_true", help="do not write the page")
    chosen = parser.parse_args()
    cases = [chosen.only] if chosen.only else [case for case, _ in PAIRS]
    for name in [chosen.table] if chosen.table else list(TABLES):
        made = TABLES[name](cases, chosen.seeds, chosen.steps)
        if not (chosen.only or chosen.print):
            _write(name, made)


def _write(name: str, made: str) -> None:
    def put(match: re.Match[str]) -> str:
        return match[1] + (made if match[2] == name else match[3]) + match[4]

    PAGE.write_text(TABLE.sub(put, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
