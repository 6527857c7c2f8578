"""Every setting of a training run, typed, with its help beside it."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from rich.table import Table

from daogym.envs.core.strict import StrictModel

PositiveInt = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]

# Where a run is kept, how it is shown and how it is measured never changes what is learnt.
_NOT_LEARNING = (
    "threads", "eval_every_steps", "eval_split", "eval_episodes", "final_split",
    "final_episodes", "final_targets", "run_root", "run_name", "checkpoint_every_rollouts",
    "tensorboard", "progress",
)  # fmt: skip


class TrainConfig(StrictModel):
    """A training run: what is learnt on, how, and how it is measured and kept."""

    # What is learnt on.
    scenario: str | dict[str, Any] = Field(
        "lv_rural", description="name of a scenario, path of a YAML file, or a mapping of settings"
    )
    split: str = Field("train", description="part of the data that the policy trains on")
    action_mode: str | None = Field(
        None, description="meaning of an action; none: the scenario's default"
    )
    control_variate: bool = Field(
        True, description="learn on the reward minus the no-op's money of the same world and step"
    )
    shadow_lanes: bool = Field(
        False, description="step the zero action in the same worlds: its money is the no-op's"
    )
    mirror_lanes: bool = Field(
        False,
        description="pairs of lanes in the same worlds with opposite lasting noise, whole episodes",
    )
    value_stock: bool = Field(
        False,
        description="reward what the stock gains in a step: a potential, where the domain has one",
    )
    hold_steps: PositiveInt = Field(
        1, description="steps for which an action holds in training; other settings count decisions"
    )
    num_envs: PositiveInt = Field(1024, description="environments stepped in one compiled call")
    threads: PositiveInt = Field(2, description="threads of the simulator")

    # stable-baselines3's PPO, under its own names.
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        0, description="of the weights, the exploration and the training worlds"
    )
    total_steps: PositiveInt = Field(
        6_000_000, description="environment steps of the run, rounded up to whole rollouts"
    )
    n_steps: PositiveInt = Field(16, description="steps of each environment in one rollout")
    batch_size: Annotated[int, Field(ge=2)] = Field(
        2048, description="samples of one minibatch; must divide num_envs * n_steps"
    )
    n_epochs: PositiveInt = Field(6, description="passes over a rollout")
    learning_rate: Positive = Field(1e-3, description="Adam's step size at the start")
    learning_rate_schedule: Literal["linear", "constant"] = Field(
        "linear", description="linear: falls to 0 at the end of the run"
    )
    gamma: Fraction = Field(0.999, description="discount of one step")
    gae_lambda: Fraction = Field(0.95, description="bias against variance of the advantages")
    clip_range: Positive = Field(0.2, description="clip of the probability ratio")
    normalize_advantage: bool = Field(True, description="standardise advantages in a minibatch")
    ent_coef: NotNegative = Field(0.0, description="weight of the entropy bonus")
    vf_coef: NotNegative = Field(0.5, description="weight of the value loss")
    max_grad_norm: Positive = Field(0.5, description="clip of the gradient's norm")
    target_kl: Positive | None = Field(
        None, description="end an update early above 1.5 times this divergence; none: never"
    )

    # Many agents and limits, see docs/agents.md.
    algo: Literal["ppo", "ippo", "mappo", "ppo_lagrangian"] = Field(
        "ppo", description="ppo is stable-baselines3's bit for bit; see docs/agents.md"
    )
    cost_limits: dict[str, NotNegative] = Field(
        {}, description="largest sum over an episode of a constraint cost, by its name"
    )
    multiplier_rate: Positive = Field(
        0.035, description="Adam's step size of the multipliers at the start"
    )
    multiplier_start: NotNegative = Field(0.0, description="first value of every multiplier")
    multiplier_proportional: NotNegative = Field(
        1.0, description="what a cost's excess, in limits, adds to its multiplier at once"
    )
    team_share: Fraction = Field(
        1.0, description="an agent's reward: 0 its own money, 1 its share of the team's"
    )
    normalise_values: bool = Field(
        False, description="let the critic learn returns standardised by running statistics"
    )
    huber_delta: Positive | None = Field(
        None, description="value loss linear beyond this error; none: the squared error"
    )
    clip_by_group: bool = Field(False, description="clip the gradients of actor and critic apart")

    # The policy and value networks: separate, of the same shape.
    net_arch: tuple[PositiveInt, ...] = Field((128, 128), description="widths of hidden layers")
    activation: Literal["tanh", "relu", "elu", "silu"] = Field(
        "tanh", description="function between layers"
    )
    hidden_fields: tuple[str, ...] = Field(
        (), description="observation fields that policy and critic do not get to see"
    )
    standardise_observations: bool = Field(
        False,
        description="scale the first layers by what the zero action sees in an episode, once",
    )
    log_std_init: Annotated[float, Field(ge=-10.0, le=2.0)] = Field(
        -0.5,
        description="log of the first deviation of an action, or with use_sde of its noise",
    )
    use_sde: bool = Field(
        False, description="explore by noise that lasts and depends on the state (gSDE)"
    )
    sde_sample_freq: Annotated[int, Field(ge=-1)] = Field(
        -1, description="steps after which that noise is drawn anew; -1: once a rollout"
    )
    torch_threads: PositiveInt = Field(2, description="threads of the learner")

    # Warm start.
    warm_start: bool = Field(False, description="imitate the domain's teacher before PPO begins")
    warm_start_episodes: PositiveInt = Field(1024, description="episodes that the teacher shows")
    warm_start_epochs: PositiveInt = Field(30, description="passes over what it showed")

    # Evaluation.
    eval_every_steps: Count = Field(
        1_000_000, description="environment steps between evaluations; 0: only at the end"
    )
    eval_split: str = Field("validation", description="part of the data of those evaluations")
    eval_episodes: PositiveInt = Field(64, description="their episodes, the same every time")
    final_split: str = Field("test", description="part of the data of the evaluation at the end")
    final_episodes: PositiveInt = Field(100, description="its episodes")
    final_targets: tuple[str, ...] = Field(
        ("all", "bound"), description="what the best policy is compared with at the end"
    )

    # The run directory.
    run_root: str = Field("runs", description="folder of all run directories")
    run_name: str | None = Field(
        None, description="name of the run directory; none: scenario, seed and a number"
    )
    checkpoint_every_rollouts: Count = Field(
        50, description="rollouts between checkpoints; 0: only at the end"
    )
    tensorboard: bool = Field(True, description="write TensorBoard event files")
    progress: bool = Field(True, description="show a progress bar")

    @model_validator(mode="after")
    def _minibatches_fill_the_rollout(self) -> TrainConfig:
        if self.rollout_steps % self.batch_size:
            raise ValueError(
                f"batch_size is {self.batch_size}, expected a divisor of "
                f"num_envs * n_steps = {self.num_envs} * {self.n_steps} = {self.rollout_steps}"
            )
        return self

    @model_validator(mode="after")
    def _limits_have_their_learner(self) -> TrainConfig:
        if self.algo == "ppo_lagrangian" and not self.cost_limits:
            raise ValueError(
                "algo is ppo_lagrangian, expected cost_limits such as {overload_kwh: 12}"
            )
        if self.algo == "ppo" and self.cost_limits:
            raise ValueError(
                f"cost_limits is {self.cost_limits}, but algo=ppo knows no limits; expected "
                "algo=ppo_lagrangian"
            )
        return self

    @model_validator(mode="after")
    def _lasting_noise_has_its_learner(self) -> TrainConfig:
        if self.use_sde and self.has_agents:
            raise ValueError(f"use_sde is true, but algo={self.algo} explores by a noise a step")
        if self.sde_sample_freq != -1 and not self.use_sde:
            raise ValueError(
                f"sde_sample_freq is {self.sde_sample_freq}, but without use_sde=true the noise is "
                "drawn anew in every step"
            )
        return self

    @model_validator(mode="after")
    def _mirrored_lanes_are_pairs(self) -> TrainConfig:
        if self.mirror_lanes and (not self.use_sde or self.num_envs % 2):
            raise ValueError(
                "mirror_lanes is true, expected use_sde=true and an even num_envs; got "
                f"use_sde={str(self.use_sde).lower()}, num_envs={self.num_envs}"
            )
        return self

    @model_validator(mode="after")
    def _first_layers_to_standardise(self) -> TrainConfig:
        if self.standardise_observations and not self.net_arch:
            raise ValueError(
                "standardise_observations is true, but net_arch is empty: no hidden layer to scale"
            )
        return self

    @property
    def has_agents(self) -> bool:
        """Whether what is learnt on are environments of several agents."""
        return self.algo in ("ippo", "mappo")

    @property
    def rollout_steps(self) -> int:
        """Environment steps of one rollout over all environments."""
        return self.num_envs * self.n_steps

    @property
    def training_hash(self) -> str:
        """Hex digest of every setting that the weights depend on."""
        document = self.model_dump(mode="json", exclude=set(_NOT_LEARNING))
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:20]


def settings_help() -> list[tuple[str, str, str]]:
    """Rows (key, default, meaning), one a setting of `TrainConfig`."""
    rows = []
    for name, field in TrainConfig.model_fields.items():
        default = json.dumps(field.get_default(call_default_factory=True))
        rows.append((name, default.replace('"', ""), field.description or ""))
    return rows


def help_table() -> Table:
    """`settings_help` for a terminal."""
    table = Table(title="Settings of train.py: key=value on the command line, or in a YAML file")
    table.add_column("key", no_wrap=True)
    table.add_column("default")
    table.add_column("meaning")
    for row in settings_help():
        table.add_row(*row)
    return table
