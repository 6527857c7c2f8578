"""The end of a run: the best policy against everybody on unseen days, exported and reported."""

from __future__ import annotations

import json

from rich.console import Console

from . import report
from .callback import RunCallback
from .comparison import Comparison, compare
from .config import TrainConfig
from .evaluation import EpisodeSet, MakeSimulator
from .export.run import export_run
from .pictures import plot_episode
from .runs import RunDirectory


def finish(
    config: TrainConfig,
    run: RunDirectory,
    callback: RunCallback,
    make: MakeSimulator,
    console: Console,
) -> Comparison:
    """Export the best policy, compare it on the final split, write the report, print the table."""
    state = callback.state
    report.learning_curve(run.metrics_file, run.curve_file, run.path.name, callback.progress.unit)
    exported = export_run(run, make)
    episodes = EpisodeSet(config.scenario, config.final_split, config.final_episodes)
    console.print(f"evaluating on {episodes.episodes} episodes of the {episodes.split} split")
    with console.status("evaluating") as status:
        compared = compare(
            [str(run.path), *config.final_targets],
            episodes,
            make,
            config.threads,
            lambda name: status.update(f"evaluating {name}"),
        )
    quality = compared.quality(str(run.path))
    costs = compared.outcomes[str(run.path)].episode_costs
    document = {
        **compared.document(),
        "quality": None if quality is None else json.loads(quality.to_json()),
        "run": {
            "steps": callback.num_timesteps,
            "best_steps": state.best_steps,
            "seconds": state.elapsed_seconds,
            "steps_per_s": callback.num_timesteps / max(state.elapsed_seconds, 1e-9),
            "simulator_share": callback.simulator_share(),
            "validation_money_per_day": state.best_money_per_day,
            "validation_score": state.score,
            "episode_costs": costs,
            "cost_limits": config.cost_limits,
            "training_hash": config.training_hash,
            "export_action_difference": exported.largest_difference,
            "export_return_difference": exported.return_difference,
        },
    }
    run.write_json("report.json", document)
    shown = report.markdown(compared.results, compared.domain)
    text = f"# {run.path.name}\n\n{compared.title()}\n\n{shown}"
    text += f"\n```json\n{json.dumps(document['run'], indent=2)}\n```\n"
    (run.path / "report.md").write_text(text)
    compared.print(console)
    for name, limit in config.cost_limits.items():
        console.print(f"{name}: {costs[name]:.4g} an episode, the limit is {limit:g}")
    if quality is not None:
        console.print(
            f"rule to bound: {quality.gap_share:.0%} of the no-op's money (at least 5 % wanted); "
            f"{quality.trivial_controller} has {quality.trivial_share:.0%} of the policy's gain "
            f"over the no-op (at most 70 % wanted); both hold: "
            f"{'yes' if quality.is_publishable else 'no'}"
        )
    if plot_episode([str(run.path), compared.rule], episodes, make, run.path / "episode.png"):
        picture = run.path / "episode.png"
        console.print(f"an episode beside {compared.rule}'s: {picture}", soft_wrap=True)
    files = [("policy", path) for path in exported.paths]
    for what, path in (*files, ("report", run.path / "report.md")):
        console.print(f"{what}: {path}", soft_wrap=True)
    return compared
