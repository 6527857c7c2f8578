"""Export of a run's best policy, its episode returns compared with torch's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..evaluation import EpisodeSet, MakeSimulator, Outcome, play
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
        path: the ONNX file.
        source: the policy file that was exported.
        largest_difference: of an action, as part of its field's range.
        return_difference: of an episode's money, relative.
    """

    path: Path
    source: Path
    largest_difference: float
    return_difference: float


def export_run(run: RunDirectory, make: MakeSimulator, path: Path | None = None) -> Exported:
    """Export the best policy of a run to ``path``, by default ``policy.onnx`` of the run.

    Raises `VerificationError`, and writes nothing, when onnxruntime's actions or episode returns
    are not torch's.
    """
    config = run.config()
    target = run.onnx_file if path is None else path
    source = run.best_file if run.best_file.is_file() else run.last_file
    actor, contract = load_policy(source)
    episodes = EpisodeSet(config.scenario, config.eval_split, RETURN_EPISODES)
    simulator = episodes.simulator(make, contract.action_mode)
    by_torch = play(TorchPolicy("torch", actor, contract), simulator)
    differences: list[float] = []

    def check(policy: OnnxPolicy) -> None:
        episodes.begin(simulator)
        difference = return_difference(by_torch, play(policy, simulator))
        if not difference <= RETURN_TOLERANCE:
            raise VerificationError(
                f"{target}: an episode's return differs by {difference:.2e} from torch's; "
                f"at most {RETURN_TOLERANCE:.0e} is accepted"
            )
        differences.append(difference)

    verification = export_policy(actor, contract, target, check)
    return Exported(target, source, verification.largest_difference, differences[0])


def return_difference(a: Outcome, b: Outcome) -> float:
    """Largest relative difference of an episode's money.

    Relative to that episode's money or to the mean size, whichever is larger: an episode that
    happens to earn nothing has no relative difference of its own.
    """
    size = np.maximum(np.abs(a.money), np.abs(a.money).mean())
    return float((np.abs(a.money - b.money) / np.maximum(size, 1e-12)).max())
