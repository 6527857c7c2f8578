"""Export of a run's best policy, its episode returns compared with torch's."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..checkpoint import write_atomically
from ..evaluation import EpisodeSet, MakeSimulator, Outcome, play
from ..group_policy import Act, GroupPolicy, holds_groups, load_controller, load_groups
from ..policy import TorchPolicy, load_policy
from ..runs import RunDirectory
from .onnx_policy import OnnxPolicy
from .verify import VerificationError
from .writer import export_policy

RETURN_TOLERANCE = 1e-4
RETURN_EPISODES = 16


@dataclass(frozen=True)
class Exported:
    """What was written and how closely it follows torch.

    Attributes:
        path: the ONNX file, the first one of several groups of agents.
        paths: all files: one, or one a group.
        source: the policy file that was exported.
        largest_difference: of an action, as part of its field's range.
        return_difference: of an episode's money, relative.
    """

    path: Path
    source: Path
    largest_difference: float
    return_difference: float
    paths: tuple[Path, ...]


def export_run(run: RunDirectory, make: MakeSimulator, path: Path | None = None) -> Exported:
    """Export the best policy of a run to ``path``, by default ``policy.onnx`` of the run; of a run
    on several agents, the policy of each group to ``policy-GROUP.onnx``.

    Raises `VerificationError`, and writes nothing, when onnxruntime's actions or episode returns
    are not torch's.
    """
    config = run.config()
    target = run.onnx_file if path is None else path
    source = run.best_file if run.best_file.is_file() else run.last_file
    episodes = EpisodeSet(config.scenario, config.eval_split, RETURN_EPISODES)
    if holds_groups(source):
        return _export_groups(source, target, episodes, make)
    actor, contract = load_policy(source)
    simulator = episodes.simulator(make, contract.action_mode)
    by_torch = play(TorchPolicy("torch", actor, contract), simulator)
    differences: list[float] = []

    def check(policy: OnnxPolicy) -> None:
        episodes.begin(simulator)
        differences.append(_checked_difference(target, by_torch, play(policy, simulator)))

    verification = export_policy(actor, contract, target, check)
    largest = verification.largest_difference
    return Exported(target, source, largest, differences[0], (target,))


def _export_groups(
    source: Path, target: Path, episodes: EpisodeSet, make: MakeSimulator
) -> Exported:
    """Every group's file, returns compared with all groups in onnxruntime; all files or none."""
    groups = load_groups(source)
    by_torch_policy = load_controller(source, "torch")
    simulator = episodes.simulator(make, by_torch_policy.action_mode)
    by_torch = play(by_torch_policy, simulator)
    with tempfile.TemporaryDirectory() as folder:
        drafts = [Path(folder) / f"{number}.onnx" for number in range(len(groups))]
        largest = max(
            export_policy(actor, contract, draft).largest_difference
            for (_, actor, contract), draft in zip(groups, drafts, strict=True)
        )
        policies = [OnnxPolicy.read(draft) for draft in drafts]
        contracts = {name: contract for name, _, contract in groups}
        episodes.begin(simulator)
        together = GroupPolicy("onnx", contracts, [_onnx_act(policy) for policy in policies])
        difference = _checked_difference(target, by_torch, play(together, simulator))
        paths = [target.with_name(f"{target.stem}-{name}{target.suffix}") for name in contracts]
        for draft, path in zip(drafts, paths, strict=True):
            write_atomically(path, draft.read_bytes())
    return Exported(paths[0], source, largest, difference, tuple(paths))


def _onnx_act(policy: OnnxPolicy) -> Act:
    observations, actions = policy.contract.observations, policy.contract.actions

    def act(normalised: NDArray[np.float32]) -> NDArray[np.float32]:
        return actions.normalise(policy.act_physical(observations.denormalise(normalised)))

    return act


def _checked_difference(target: Path, by_torch: Outcome, by_onnx: Outcome) -> float:
    difference = return_difference(by_torch, by_onnx)
    if not difference <= RETURN_TOLERANCE:
        raise VerificationError(
            f"{target}: an episode's return differs by {difference:.2e} from torch's; "
            f"at most {RETURN_TOLERANCE:.0e} is accepted"
        )
    return difference


def return_difference(a: Outcome, b: Outcome) -> float:
    """Largest relative difference of an episode's money.

    Relative to that episode's money or to the mean size, whichever is larger: an episode that
    happens to earn nothing has no relative difference of its own.
    """
    size = np.maximum(np.abs(a.money), np.abs(a.money).mean())
    return float((np.abs(a.money - b.money) / np.maximum(size, 1e-12)).max())
