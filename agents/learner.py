"""The project's one PPO: stable-baselines3's, with many agents and with limits as settings.

`Learner` overrides how PPO collects and how it trains, with the same operations in the same order:
with every setting at its default its weights are SB3's, bit for bit.

- IPPO, MAPPO: `MultiAgentPolicy` on a `MultiAgentVecEnv`; rows of absent agents are left out.
- Settings of MAPPO (Yu et al. 2022): `normalise_values`, `huber_delta`, `clip_by_group`.
- PPO-Lagrangian: `cost_limits`, see `constraints.py`.
- Pairs of lanes in the same worlds with opposite noise: `mirror_lanes`, see `mirrors.py`.

From its environment it reads, where they are needed, arrays of the last step: `costs` with
`cost_names` and `episode_steps`, `acted`, `truncated_rows` with `final_observations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import explained_variance, obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv
from torch.nn.functional import huber_loss, mse_loss

from .constraints import Constraints
from .mirrors import mirror_noise, mirrored_advantages
from .rollout import LearnerBuffer, LearnerDictBuffer
from .value_scale import ValueScale


class Learner(PPO):
    """PPO; see the module.

    Args:
        policy, env, arguments, options: as of SB3's `PPO`.
        cost_limits: largest sum over an episode, by name of the cost.
        multiplier_rate, multiplier_start: Adam's step size and first value of the multipliers.
        multiplier_proportional: what a cost's excess adds to its multiplier at once.
        normalise_values: let the critic learn returns standardised by their running statistics.
        huber_delta: the value loss is linear beyond this error; none: the squared error. In
            standard deviations where values are normalised.
        clip_by_group: clip the gradients of actor and critic apart, each to `max_grad_norm`.
        mirror_lanes: rows i and i + N / 2 of `env` meet the same worlds: explore them by opposite
            noise, and learn from what one earned more. A rollout is one whole episode.

    Raises:
        ValueError: a limit of a cost that the environment does not report; mirrored lanes without
            `use_sde` or of an odd number.
    """

    rollout_buffer: LearnerBuffer
    policy: Any

    def __init__(
        self,
        policy: Any,
        env: VecEnv,
        *arguments: Any,
        cost_limits: Mapping[str, float] | None = None,
        multiplier_rate: float = 0.035,
        multiplier_start: float = 0.0,
        multiplier_proportional: float = 0.0,
        normalise_values: bool = False,
        huber_delta: float | None = None,
        clip_by_group: bool = False,
        mirror_lanes: bool = False,
        **options: Any,
    ) -> None:
        self.cost_limits = dict(cost_limits or {})
        self.multiplier_rate, self.multiplier_start = multiplier_rate, multiplier_start
        self.multiplier_proportional = multiplier_proportional
        self.huber_delta, self.clip_by_group = huber_delta, clip_by_group
        self.value_scale = ValueScale() if normalise_values else None
        self.constraints: Constraints | None = None
        self._episode_costs: NDArray[Any] = np.zeros(len(self.cost_limits))
        self.mirror_lanes = mirror_lanes
        super().__init__(policy, env, *arguments, **options)
        if mirror_lanes and (not self.use_sde or self.n_envs % 2):
            raise ValueError(
                "mirror_lanes: use_sde and an even number of lanes expected, got "
                f"use_sde={self.use_sde} and {self.n_envs} lanes"
            )

    def _setup_model(self) -> None:
        is_dict = isinstance(self.observation_space, spaces.Dict)
        self.rollout_buffer_class = LearnerDictBuffer if is_dict else LearnerBuffer
        self.rollout_buffer_kwargs = {"n_costs": len(self.cost_limits)}
        super()._setup_model()
        if self.cost_limits:
            # Drawn from a copy of the random state: policy and exploration are those of PPO.
            with torch.random.fork_rng(devices=[]):
                self.constraints = self._make_constraints()

    def _make_constraints(self) -> Constraints:
        policy = self.policy
        return Constraints(
            self.cost_limits,
            tuple(getattr(self.env, "cost_names", ())),
            policy.vf_features_extractor.features_dim,
            policy.net_arch["vf"] if isinstance(policy.net_arch, dict) else policy.net_arch,
            policy.activation_fn,
            self.lr_schedule(1),
            self.multiplier_rate,
            self.multiplier_start,
            self.multiplier_proportional,
        )

    @property
    def extra_modules(self) -> dict[str, torch.nn.Module]:
        """What is learnt beside the policy and belongs into a checkpoint, by name."""
        found = {"constraints": self.constraints, "value_scale": self.value_scale}
        return {name: module for name, module in found.items() if module is not None}

    @property
    def extra_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Their optimisers, by name."""
        if self.constraints is None:
            return {}
        return {
            "cost_critic": self.constraints.optimizer,
            "multipliers": self.constraints.multiplier_optimizer,
        }

    @property
    def is_plain(self) -> bool:
        """Whether this is SB3's PPO and nothing else."""
        return self.constraints is None and self.value_scale is None and not self._has_agents

    @property
    def _has_agents(self) -> bool:
        return hasattr(self.env, "acted")

    def _critic_features(self, observations: Any) -> torch.Tensor:
        features = self.policy.extract_features(observations)
        return features[1] if isinstance(features, tuple) else features

    def _scaled_back(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs if self.value_scale is None else self.value_scale.values(outputs)

    def _predict_values(self, observations: Any) -> torch.Tensor:
        with torch.no_grad():
            return self._scaled_back(self.policy.predict_values(observations))

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: Any,
        n_rollout_steps: int,
    ) -> bool:
        """SB3's loop; costs, absent agents and cut episodes are read as arrays."""
        assert self._last_obs is not None, "no observation: call learn() first"
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        cost_values: list[NDArray[np.float32]] = []
        step_costs: list[NDArray[np.float32]] = []
        # Checkpoints are written here: noise that lasts is drawn after them, as on resuming.
        callback.on_rollout_start()
        if self.use_sde:
            self._reset_noise(env.num_envs)

        for n_steps in range(n_rollout_steps):
            if self.use_sde and self.sde_sample_freq > 0 and n_steps % self.sde_sample_freq == 0:
                self._reset_noise(env.num_envs)
            with torch.no_grad():
                obs_tensor = obs_as_tensor(self._last_obs, self.device)  # type: ignore[arg-type]
                actions, values, log_probs = self.policy(obs_tensor)
                values = self._scaled_back(values)
            if self.constraints is not None:
                cost_values.append(self.constraints.values(self._critic_features(obs_tensor)))
            actions = actions.numpy()
            clipped_actions = actions
            if isinstance(self.action_space, spaces.Box):
                if self.policy.squash_output:
                    clipped_actions = self.policy.unscale_action(clipped_actions)
                else:
                    clipped_actions = np.clip(
                        actions, self.action_space.low, self.action_space.high
                    )

            new_obs, rewards, dones, infos = env.step(clipped_actions)

            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)
            if isinstance(self.action_space, spaces.Discrete):
                actions = actions.reshape(-1, 1)
            if self._has_agents:
                rollout_buffer.present[n_steps] = env.acted  # type: ignore[attr-defined]
            if self.constraints is not None:
                rollout_buffer.costs[n_steps] = self.constraints.scaled(env.costs)  # type: ignore[attr-defined]
                step_costs.append(rollout_buffer.costs[n_steps].mean(axis=0))
            if self.is_plain or not hasattr(env, "truncated_rows"):
                self._bootstrap_row_by_row(rewards, dones, infos)
            else:
                self._bootstrap(env, rewards, rollout_buffer.costs[n_steps])
            rollout_buffer.add(
                self._last_obs, actions, rewards, self._last_episode_starts, values, log_probs
            )
            self._last_obs = new_obs  # type: ignore[assignment]
            self._last_episode_starts = dones

        last = obs_as_tensor(new_obs, self.device)  # type: ignore[arg-type]
        rollout_buffer.compute_returns_and_advantage(
            last_values=self._predict_values(last), dones=dones
        )
        if self.constraints is not None:
            last_costs = self.constraints.values(self._critic_features(last))
            rollout_buffer.finish_costs(np.array(cost_values), last_costs, dones)
            self._episode_costs = np.mean(step_costs, axis=0) * env.episode_steps  # type: ignore[attr-defined]
        if self.mirror_lanes:
            self._compare_mirror_images(dones)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _compare_mirror_images(self, dones: NDArray[np.bool_]) -> None:
        """Put advantages in place of the critics'; their targets are the lanes' own returns."""
        buffer = self.rollout_buffer
        starts = buffer.episode_starts
        buffer.advantages = mirrored_advantages(buffer.rewards, starts, dones)
        if self.constraints is not None:
            buffer.cost_advantages = mirrored_advantages(buffer.costs, starts, dones)

    def _reset_noise(self, rows: int) -> None:
        self.policy.reset_noise(rows)
        if self.mirror_lanes:
            mirror_noise(self.policy)

    def _bootstrap_row_by_row(
        self, rewards: NDArray[Any], dones: NDArray[np.bool_], infos: list[Any]
    ) -> None:
        """As SB3 does: a batch of one each, whose last bits differ from a larger batch's."""
        for row in np.flatnonzero(dones).tolist():
            info = infos[row]
            observation = info.get("terminal_observation")
            if observation is not None and info.get("TimeLimit.truncated", False):
                tensor = self.policy.obs_to_tensor(observation)[0]
                rewards[row] += self.gamma * self._predict_values(tensor)[0]

    def _bootstrap(self, env: Any, rewards: NDArray[Any], costs: NDArray[np.float32]) -> None:
        """Add the values of the states in which episodes were cut, all in one batch."""
        rows = np.flatnonzero(env.truncated_rows)
        if not len(rows):
            return
        final = env.final_observations
        if isinstance(final, dict):
            cut: Any = {name: array[rows] for name, array in final.items()}
        else:
            cut = final[rows]
        tensor = obs_as_tensor(cut, self.device)
        rewards[rows] += self.gamma * self._predict_values(tensor).numpy()[:, 0]
        if self.constraints is not None:
            ahead = self.constraints.values(self._critic_features(tensor))
            costs[rows] += self.gamma * ahead

    def train(self) -> None:
        """SB3's update; see the module for what the settings change."""
        self.policy.set_training_mode(True)
        optimizers = [self.policy.optimizer]
        if self.constraints is not None:
            optimizers.append(self.constraints.optimizer)
        self._update_learning_rate(optimizers)
        clip_range: float = self.clip_range(self._current_progress_remaining)  # type: ignore[operator]
        clip_range_vf: float | None = None
        if self.clip_range_vf is not None:
            clip_range_vf = self.clip_range_vf(self._current_progress_remaining)  # type: ignore[operator]
        self._meet_limits()
        self._rescale_values()

        entropy_losses: list[float] = []
        pg_losses: list[float] = []
        value_losses: list[float] = []
        clip_fractions: list[float] = []
        cost_losses: list[float] = []
        approx_kl_divs: list[Any] = []
        loss = torch.zeros(())
        continue_training = True
        for _ in range(self.n_epochs):
            approx_kl_divs = []
            for data in self.rollout_buffer.get(self.batch_size):
                actions = data.actions
                if isinstance(self.action_space, spaces.Discrete):
                    actions = data.actions.long().flatten()
                values, log_prob, entropy = self.policy.evaluate_actions(data.observations, actions)
                values = values.flatten()
                advantages = data.advantages
                if self.normalize_advantage and len(advantages) > 1:
                    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)

                ratio = torch.exp(log_prob - data.old_log_prob)
                policy_loss_1 = advantages * ratio
                policy_loss_2 = advantages * torch.clamp(ratio, 1 - clip_range, 1 + clip_range)
                policy_loss = -torch.min(policy_loss_1, policy_loss_2).mean()
                pg_losses.append(policy_loss.item())
                clipped = torch.mean((torch.abs(ratio - 1) > clip_range).float())
                clip_fractions.append(clipped.item())

                value_loss = self._value_loss(values, data, clip_range_vf)
                value_losses.append(value_loss.item())
                if entropy is None:
                    entropy_loss = -torch.mean(-log_prob)
                else:
                    entropy_loss = -torch.mean(entropy)
                entropy_losses.append(entropy_loss.item())
                loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss

                with torch.no_grad():
                    log_ratio = log_prob - data.old_log_prob
                    approx_kl_div = torch.mean((torch.exp(log_ratio) - 1) - log_ratio).numpy()
                    approx_kl_divs.append(approx_kl_div)
                if self.target_kl is not None and approx_kl_div > 1.5 * self.target_kl:
                    continue_training = False
                    break

                self.policy.optimizer.zero_grad()
                loss.backward()
                self._clip_gradients()
                self.policy.optimizer.step()
                if self.constraints is not None:
                    with torch.no_grad():
                        features = self._critic_features(data.observations)
                    cost_losses.append(
                        self.constraints.fit(features, data.cost_returns, self.max_grad_norm)
                    )
            self._n_updates += 1
            if not continue_training:
                break

        present = self.rollout_buffer.present[:, 0]
        explained_var = explained_variance(
            self.rollout_buffer.values.flatten()[present],
            self.rollout_buffer.returns.flatten()[present],
        )
        record = self.logger.record
        record("train/entropy_loss", np.mean(entropy_losses))
        record("train/policy_gradient_loss", np.mean(pg_losses))
        record("train/value_loss", np.mean(value_losses))
        record("train/approx_kl", np.mean(approx_kl_divs))
        record("train/clip_fraction", np.mean(clip_fractions))
        record("train/loss", loss.item())
        record("train/explained_variance", explained_var)
        if hasattr(self.policy, "log_std"):
            record("train/std", torch.exp(self.policy.log_std).mean().item())
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        record("train/clip_range", clip_range)
        if clip_range_vf is not None:
            record("train/clip_range_vf", clip_range_vf)
        if cost_losses:
            record("train/cost_value_loss", np.mean(cost_losses))

    def _meet_limits(self) -> None:
        """Move the multipliers, then let them weigh costs against the reward."""
        constraints = self.constraints
        if constraints is None:
            return
        share = self.lr_schedule(self._current_progress_remaining) / self.lr_schedule(1)
        for group in constraints.multiplier_optimizer.param_groups:
            group["lr"] = constraints.multiplier_rate * share
        constraints.update_multipliers(self._episode_costs)
        buffer = self.rollout_buffer
        buffer.advantages = constraints.combine(buffer.advantages, buffer.cost_advantages)
        for name, cost, scale, multiplier in zip(
            constraints.names,
            self._episode_costs,
            constraints.scale,
            constraints.multipliers.tolist(),
            strict=True,
        ):
            self.logger.record(f"constraint/{name}", float(cost * scale))
            self.logger.record(f"multiplier/{name}", multiplier)

    def _rescale_values(self) -> None:
        if self.value_scale is not None:
            buffer = self.rollout_buffer
            heads = getattr(self.policy, "value_heads", None) or [self.policy.value_net]
            self.value_scale.update(buffer.returns[buffer.present], heads)

    def _value_loss(
        self, values: torch.Tensor, data: Any, clip_range_vf: float | None
    ) -> torch.Tensor:
        """Of (M,) outputs of the critic."""
        returns, old_values = data.returns, data.old_values
        if self.value_scale is not None:
            returns, old_values = map(self.value_scale.outputs, (returns, old_values))
        if clip_range_vf is not None:
            change = torch.clamp(values - old_values, -clip_range_vf, clip_range_vf)
            values = old_values + change
        if self.huber_delta is None:
            return mse_loss(returns, values)
        # Twice torch's: near 0 it is the squared error that SB3 uses, so vf_coef keeps its meaning.
        return 2.0 * huber_loss(values, returns, delta=self.huber_delta)

    def _clip_gradients(self) -> None:
        if not self.clip_by_group:
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            return
        actor: list[torch.nn.Parameter] = []
        critic: list[torch.nn.Parameter] = []
        for name, parameter in self.policy.named_parameters():
            (critic if "value_net" in name else actor).append(parameter)
        for parameters in (actor, critic):
            torch.nn.utils.clip_grad_norm_(parameters, self.max_grad_norm)
