"""Targets by name, played on the same episodes and scored against the same rule and bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from daogym.envs.core.score import ScenarioQuality, scenario_quality

from . import report
from .evaluation import EpisodeSet, MakeSimulator, Outcome, Referee
from .export.onnx_policy import OnnxPolicy
from .group_policy import GroupPolicy, load_controller
from .policy import TorchPolicy
from .runs import RunDirectory
from .scoring import Result, results

ALL, BOUND = "all", "bound"
VALIDATION = "validation"


class TargetError(ValueError):
    """A target that is neither a run, nor an ONNX file, nor a controller."""


@dataclass(frozen=True)
class Comparison:
    """What everybody did on one set of episodes."""

    episodes: EpisodeSet
    scenario: str
    scenario_hash: str
    rule: str
    results: list[Result]
    outcomes: dict[str, Outcome]
    notes: list[str]
    domain: Any

    def title(self) -> str:
        """What was compared, in a line."""
        chain = self.episodes.chain_days
        length = "" if chain is None else f" of {chain} days, state carried over"
        date = "" if self.episodes.date is None else f", starting {self.episodes.date}"
        return (
            f"{self.scenario}: {self.episodes.episodes} episodes of the {self.episodes.split} "
            f"split{length}{date}; score 0 is {self.rule}"
        )

    def print(self, console: Console) -> None:
        """The table, and what to know when reading it."""
        report.print_table(console, report.table(self.results, self.title(), self.domain))
        social = report.social_table(self.results, self.domain)
        if social is not None:
            report.print_table(console, social)
        for note in self.notes:
            console.print(f"[yellow]note:[/yellow] {note}")

    def quality(self, policy: str) -> ScenarioQuality | None:
        """Whether the scenario can teach anything, judged by a policy's outcome.

        None where the bound, the rule, the no-op or all trivial controllers were not played.
        """
        played = self.outcomes
        trivial = [n for n in getattr(self.domain, "trivial_names", ()) if n in played]
        noop = getattr(self.domain, "noop_name", "")
        if not trivial or any(name not in played for name in (policy, self.rule, noop, BOUND)):
            return None
        return scenario_quality(
            played[self.rule].money,
            played[BOUND].money,
            played[noop].money,
            played[policy].money,
            {name: played[name].money for name in trivial},
        )

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        return report.document(
            self.results,
            self.scenario,
            self.scenario_hash,
            self.episodes.split,
            self.episodes.episodes,
            self.rule,
            report.currency_of(self.domain),
        )


def load_target(target: str) -> TorchPolicy | OnnxPolicy | GroupPolicy | None:
    """The policy of a run directory or ``.onnx`` file; none for any other name."""
    path = Path(target)
    if path.suffix == ".onnx":
        return OnnxPolicy.read(path)
    if path.is_dir():
        run = RunDirectory.open(path)
        source = run.best_file if run.best_file.is_file() else run.last_file
        return load_controller(source, target)
    return None


def actor_of_target(
    target: str, episodes: EpisodeSet, make: MakeSimulator, threads: int = 1
) -> tuple[Any, Any]:
    """Who acts for ``target``, and a simulator of its action mode at the start of ``episodes``.

    The simulator does not reset itself, so that the last state can be looked at.
    Raises `TargetError` for a target that cannot act.
    """
    policy = load_target(target)
    mode = None if policy is None else policy.action_mode
    simulator = episodes.simulator(make, mode, threads, autoreset="disabled")
    if policy is not None:
        return policy, simulator
    domain = simulator.domain
    if target not in domain.controller_names:
        raise TargetError(f"{target!r} cannot act, so there is no episode of it to show")
    controller = domain.make_controller(target)
    if controller.action_mode != domain.action_mode:
        mode = controller.action_mode
        simulator = episodes.simulator(make, mode, threads, autoreset="disabled")
    return controller, simulator


def scenario_of(targets: Sequence[str]) -> str | Mapping[str, Any] | None:
    """The scenario of the first run directory among the targets."""
    for target in targets:
        if (Path(target) / "config.yaml").is_file():
            return RunDirectory.open(Path(target)).config().scenario
    return None


def compare(
    targets: Sequence[str],
    episodes: EpisodeSet,
    make: MakeSimulator,
    threads: int = 1,
    announce: Callable[[str], None] = lambda name: None,
) -> Comparison:
    """Play every target on ``episodes``; equal targets are played once.

    The rule of score 0 is the best rule on the validation split, whatever split is played.
    ``announce`` is told the name of who plays next.
    Raises `TargetError` for an unknown target before anything is played.
    """
    policies = {target: load_target(target) for target in targets}
    referee = Referee(episodes, make, threads)
    names: list[str] = []
    for target, policy in policies.items():
        if policy is None and target not in (ALL, BOUND, *referee.controller_names):
            raise TargetError(
                f"{target!r}: no run directory, no .onnx file and no controller; controllers of "
                f"this scenario: {', '.join(referee.controller_names)}, or 'all', or 'bound'"
            )
        names += referee.controller_names if target == ALL else [target]
    announce("rules of the validation split")
    selection = EpisodeSet(episodes.scenario, VALIDATION, episodes.episodes)
    rule = referee.best_rule(Referee(selection, make, threads))
    announce(BOUND)
    bound = referee.bound()
    outcomes: dict[str, Outcome] = {}
    for name in dict.fromkeys(names):
        announce(name)
        policy = policies.get(name)
        if name == BOUND:
            outcomes[name] = bound
        elif policy is not None:
            outcomes[name] = referee.play(policy, name)
        else:
            outcomes[name] = referee.play_controller(name)
    return Comparison(
        episodes=episodes,
        scenario=str(referee.scenario.name),
        scenario_hash=referee.scenario_hash,
        rule=rule.target,
        results=results(
            list(outcomes.values()),
            rule,
            bound,
            [name for _, name in report.reported_events(referee.domain)],
        ),
        outcomes=outcomes,
        notes=[
            f"{name} was trained on {policy.contract.id} {policy.contract.scenario_hash}, "
            f"this is {referee.scenario.name} {referee.scenario_hash}"
            for name, policy in policies.items()
            if policy is not None and policy.contract.scenario_hash != referee.scenario_hash
        ],
        domain=referee.domain,
    )
