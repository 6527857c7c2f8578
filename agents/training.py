"""A training run from its settings to its report."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from stable_baselines3.common.vec_env import VecEnv

from daogym.envs.adapters.multi_agent import MultiAgentVecEnv
from daogym.envs.core.strict import ConfigError

from .callback import Evaluate, Evaluated, Progression, RunCallback
from .checkpoint import CheckpointError, read_tensors, restore_learner
from .config import TrainConfig
from .evaluation import EPISODE_SEED, EpisodeSet, MakeSimulator, Referee, play
from .finish import finish
from .group_policy import GroupKeeper
from .hidden_fields import hide_fields, hide_from, seen_numbers
from .imitation import demonstrations, imitate
from .learner import Learner
from .logs import MetricsCsv, make_logger, metric_columns
from .policy import PolicyKeeper, contract_of
from .ppo import make_ppo
from .progress import Progress
from .report import currency_of
from .runs import RunDirectory, RunError, versions
from .scoring import score_of
from .standardise import observed, standardise_inputs

MakeEnv = Callable[..., VecEnv]


def make_daogym_simulator(scenario: Any, **options: Any) -> Any:
    """`daogym.make_simulator`, imported when it is needed (it loads compiled code)."""
    import daogym

    return daogym.make_simulator(scenario, **options)


def make_sb3_env(simulator: Any, **options: Any) -> VecEnv:
    """The project's stable-baselines3 face of a simulator."""
    from daogym.envs.adapters.sb3 import SB3VecEnv

    return SB3VecEnv(simulator, **options)


def train(
    config: TrainConfig,
    *,
    make_simulator: MakeSimulator = make_daogym_simulator,
    make_env: MakeEnv = make_sb3_env,
    console: Console | None = None,
    conclude: bool = True,
) -> RunDirectory:
    """Start a run in a new directory and see it to its end.

    Without ``conclude`` it ends with the last checkpoint: no comparison, export or report.
    """
    console = console or Console()
    run = RunDirectory.create(config)
    with run.lock():
        run.write_config(config)
        callback = _learn(config, run, None, make_simulator, make_env, console)
        if conclude:
            finish(config, run, callback, make_simulator, console)
    return run


def resume(
    path: Path,
    *,
    make_simulator: MakeSimulator = make_daogym_simulator,
    make_env: MakeEnv = make_sb3_env,
    console: Console | None = None,
    conclude: bool = True,
) -> RunDirectory:
    """Continue a run from its checkpoint; the weights become those of an unbroken run.

    Raises `RunError` or `CheckpointError` when there is nothing to continue from, or when
    settings or scenario are no longer those of the checkpoint.
    """
    console = console or Console()
    run = RunDirectory.open(path)
    config = run.config()
    if not run.checkpoint_file.is_file():
        raise RunError(f"{path}: no checkpoint.safetensors; the run ended before its first one")
    with run.lock():
        _warn_of_changes(run, config, console)
        checkpoint = read_tensors(run.checkpoint_file)
        callback = _learn(config, run, checkpoint, make_simulator, make_env, console)
        if conclude:
            finish(config, run, callback, make_simulator, console)
    return run


def _warn_of_changes(run: RunDirectory, config: TrainConfig, console: Console) -> None:
    was, now = run.read_json("versions.json"), versions(config)
    changed = sorted(key for key in now if was.get(key) != now[key])
    if changed:
        console.print(
            f"[yellow]{run.path}: {', '.join(changed)} changed since the run began; "
            "the result may differ in the last bits from an unbroken run[/yellow]"
        )


def _learn(
    config: TrainConfig,
    run: RunDirectory,
    checkpoint: tuple[dict[str, Any], Any] | None,
    make_simulator: MakeSimulator,
    make_env: MakeEnv,
    console: Console,
) -> RunCallback:
    simulator = _make_lanes(config, make_simulator)
    _check(config, simulator)
    seen = seen_numbers(simulator.observation_fields, config.hidden_fields)
    env: VecEnv
    keeper: Any
    if config.has_agents:
        view = simulator.domain.as_agents(simulator)
        env = MultiAgentVecEnv(
            view, team_share=config.team_share, control_variate=config.control_variate
        )
        keeper = GroupKeeper(view, config.training_hash, config.activation)
    else:
        shaped: dict[str, Any] = {"stock_discount": config.gamma} if config.value_stock else {}
        shaped |= {"control_variate": config.control_variate, "hold_steps": config.hold_steps}
        if config.mirror_lanes:
            shaped["in_pairs"] = True
        env = make_env(simulator, **shaped)
        keeper = PolicyKeeper(contract_of(simulator, config.training_hash), config.activation)
    if checkpoint is None:
        _describe_run(config, run, simulator)
    state = None if checkpoint is None else _checked(run, checkpoint[1], config, keeper)
    metrics = MetricsCsv(
        run.metrics_file,
        metric_columns(simulator.term_names, simulator.cost_names, list(config.cost_limits)),
        None if state is None else state.metrics_offset,
    )
    evaluate = _evaluation(config, make_simulator, console)

    # The learner is seeded after everything else was made, and a checkpoint is put back last:
    # nothing in between may draw from the global random states.
    model = make_ppo(config, env)
    hide_fields(model.policy, seen)
    if model.constraints is not None:
        hide_from(model.constraints.critic, seen)
    if config.standardise_observations and checkpoint is None:
        seen_as = observed(_make_lanes(config, make_simulator), config.hold_steps)
        extractor = model.policy.mlp_extractor
        networks = [extractor.policy_net, extractor.value_net]
        if model.constraints is not None:
            networks.append(model.constraints.critic)
        for network in networks:
            standardise_inputs(network, *seen_as)
    resumed_at = None if checkpoint is None else checkpoint[1]["learner"]["num_timesteps"]
    model.set_logger(make_logger(run.path, metrics, config.tensorboard, resumed_at))
    remaining = config.total_steps
    if checkpoint is not None:
        remaining = _restore(model, simulator, checkpoint)
    elif config.warm_start:
        _warm_start(model, config, make_simulator, console)
    progress = Progress(console, config.total_steps, config.progress, currency_of(simulator.domain))
    callback = RunCallback(config, run, keeper, simulator, metrics, progress, evaluate, state)
    console.print(f"training {config.scenario!r} in {run.path}", soft_wrap=True)
    start = time.perf_counter()
    try:
        model.learn(remaining, callback=callback, reset_num_timesteps=checkpoint is None)
    finally:
        progress.stop()
        model.logger.close()
    console.print(
        f"{model.num_timesteps:,} steps; {time.perf_counter() - start:,.1f} s in this process"
    )
    return callback


def _make_lanes(config: TrainConfig, make_simulator: MakeSimulator) -> Any:
    options = {"shadow": True} if config.shadow_lanes else {}
    return make_simulator(
        config.scenario,
        num_envs=config.num_envs,
        threads=config.threads,
        split=config.split,
        action_mode=config.action_mode,
        stagger=not config.mirror_lanes,
        **options,
    )


def _check(config: TrainConfig, simulator: Any) -> None:
    if config.has_agents and not hasattr(simulator.domain, "as_agents"):
        raise ConfigError(
            "training", "algo",
            f"{config.algo} needs a domain of several agents (`as_agents`); the domain "
            f"{simulator.domain.name!r} has none, expected ppo or ppo_lagrangian",
        )  # fmt: skip
    if config.value_stock and not hasattr(simulator.domain, "stock_value"):
        name = simulator.domain.name
        raise ConfigError("training", "value_stock", f"the domain {name!r} values no stock")
    for key in ("hidden_fields", "warm_start", "value_stock", "standardise_observations"):
        if config.has_agents and getattr(config, key):
            raise ConfigError("training", key, f"not with algo={config.algo}")
    decisions = config.n_steps * config.hold_steps
    if config.mirror_lanes and decisions != simulator.horizon:
        raise ConfigError(
            "training", "mirror_lanes",
            f"a rollout is one episode: n_steps * hold_steps = {simulator.horizon} expected, got "
            f"{config.n_steps} * {config.hold_steps} = {decisions}",
        )  # fmt: skip
    if config.hold_steps >= max(simulator.horizon, 2):
        raise ConfigError(
            "training", "hold_steps",
            f"{config.hold_steps} steps, expected less than an episode, {simulator.horizon} steps",
        )  # fmt: skip
    if config.hold_steps > 1 and (config.has_agents or config.warm_start):
        other = f"algo={config.algo}" if config.has_agents else "warm_start"
        raise ConfigError("training", "hold_steps", f"not with {other}")
    for name in config.cost_limits:
        if name not in simulator.cost_names:
            near = difflib.get_close_matches(name, simulator.cost_names, 1, 0.0)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError("training", "cost_limits", f"there is no cost {name!r}{hint}")


def _warm_start(
    model: Learner, config: TrainConfig, make_simulator: MakeSimulator, console: Console
) -> None:
    start = time.perf_counter()
    shown = demonstrations(config, make_simulator)
    shown_at = time.perf_counter()
    result = imitate(model, shown, config)
    console.print(
        f"warm start: {len(shown.observations):,} decisions of the teacher "
        f"({shown_at - start:,.1f} s) imitated in {time.perf_counter() - shown_at:,.1f} s; mean "
        f"squared error of an action {result.action_error:.4f}, of a return "
        f"{result.return_error:.3f} of its variance"
    )


def _restore(model: Learner, simulator: Any, checkpoint: tuple[dict[str, Any], Any]) -> int:
    """Put a checkpoint into learner and simulator; returns the steps still to do."""
    arrays, document = checkpoint
    prefix = "simulator/"
    snapshot = {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}
    try:
        simulator.restore(snapshot)
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"checkpoint: the simulator's state does not fit: {error}") from error
    restore_learner(model, arrays, document["learner"])
    return int(document["learner"]["total_timesteps"]) - model.num_timesteps


def _checked(run: RunDirectory, document: Any, config: TrainConfig, keeper: Any) -> Progression:
    expected = {
        "training_hash": config.training_hash,
        "scenario_hash": keeper.scenario_hash,
    }
    for key, wanted in expected.items():
        if document.get(key) != wanted:
            raise RunError(
                f"{run.checkpoint_file}: {key} is {document.get(key)!r}, but the settings and "
                f"sources of now give {wanted!r}; the run cannot be continued as the same run"
            )
    return Progression(**document["progression"])


def _describe_run(config: TrainConfig, run: RunDirectory, simulator: Any) -> None:
    run.write_json("versions.json", versions(config))
    run.write_json(
        "seeds.json",
        {
            "learner": config.seed,
            "training_lanes": [config.seed, config.seed + config.num_envs - 1],
            "evaluation_episodes": EPISODE_SEED,
        },
    )
    run.write_json(
        "scenario.json",
        {
            "hash": simulator.scenario_hash,
            "settings": simulator.scenario.model_dump(mode="json"),
        },
    )


def _evaluation(config: TrainConfig, make: MakeSimulator, console: Console) -> Evaluate:
    """The periodic evaluation: EUR a day and score on the same validation episodes every time."""
    episodes = EpisodeSet(config.scenario, config.eval_split, config.eval_episodes)
    referee = Referee(episodes, make, config.threads)
    console.print(f"playing rules and bound on {config.eval_episodes} {config.eval_split} episodes")
    rule, bound = referee.best_rule(referee), referee.bound()
    simulator = referee.simulator(config.action_mode)

    def evaluate(policy: Any) -> Evaluated:
        episodes.begin(simulator)
        outcome = play(policy, simulator)
        return Evaluated(
            outcome.money_per_day, score_of(outcome, rule, bound), outcome.episode_costs
        )

    return evaluate
