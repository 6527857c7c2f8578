"""The learner is stable-baselines3's PPO with everything off, and does what each setting says."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from daogym.agents.learner import Learner
from daogym.agents.mirrors import mirrored_advantages
from daogym.agents.multi_agent_policy import MultiAgentPolicy
from daogym.agents.rollout import advantages_of
from daogym.agents.value_scale import ValueScale
from daogym.envs.adapters.multi_agent import MultiAgentVecEnv
from daogym.envs.adapters.sb3 import SB3VecEnv

Weights = dict[str, np.ndarray[Any, Any]]


def weights_of(model: PPO) -> Weights:
    return {name: tensor.numpy().copy() for name, tensor in model.policy.state_dict().items()}


def same(ours: Weights, theirs: Weights) -> bool:
    assert ours.keys() == theirs.keys()
    return all(array.tobytes() == theirs[name].tobytes() for name, array in ours.items())


@pytest.mark.parametrize("name", ["Pendulum-v1", "CartPole-v1"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clip_range_vf": 0.2, "target_kl": 0.01, "normalize_advantage": False, "ent_coef": 0.01},
    ],
    ids=["defaults", "other settings"],
)
def test_with_everything_off_it_is_stable_baselines3_bit_for_bit(
    name: str, options: dict[str, Any]
) -> None:
    """Numbers and choices as actions, episodes that end and episodes that are cut."""
    torch.set_num_threads(1)
    found = []
    cuts = 0

    class CountCuts(BaseCallback):
        def _on_step(self) -> bool:
            nonlocal cuts
            cuts += sum(info.get("TimeLimit.truncated", False) for info in self.locals["infos"])
            return True

    for kind in (PPO, Learner):
        env = DummyVecEnv([lambda: gymnasium.make(name) for _ in range(3)])
        model = kind("MlpPolicy", env, n_steps=220, batch_size=60, n_epochs=2, seed=5,
                     device="cpu", **options)  # fmt: skip
        model.learn(3 * 220 * 2, callback=CountCuts())
        found.append(weights_of(model))
    assert same(*found)
    assert (cuts > 0) == (name == "Pendulum-v1")


def toy_model(toy: Any, kind: type[PPO] = Learner, **options: Any) -> PPO:
    env = SB3VecEnv(toy.make_simulator(num_envs=32, stagger=True))
    return kind("MlpPolicy", env, n_steps=12, batch_size=96, n_epochs=3, learning_rate=3e-3,
                seed=1, device="cpu", **options)  # fmt: skip


def learnt(toy: Any, kind: type[PPO] = Learner, rollouts: int = 2, **options: Any) -> Any:
    """Seeded and taught in one go: SB3 draws from the global random states."""
    return toy_model(toy, kind, **options).learn(32 * 12 * rollouts)


def test_limits_that_never_bind_leave_ppo_s_weights_as_they_are(toy: Any) -> None:
    """The cost critic has optimiser, clipping and random numbers of its own."""
    plain = learnt(toy, PPO, 4)
    limited = learnt(toy, rollouts=4, cost_limits={"overfill_kwh": 1e6})
    other = learnt(toy, rollouts=4, cost_limits={"overfill_kwh": 0.1}, multiplier_start=0.5)
    assert same(weights_of(plain), weights_of(limited))
    assert not same(weights_of(plain), weights_of(other))
    assert limited.constraints.multipliers.tolist() == [0.0]
    assert other.constraints.multipliers.item() > 0.5


@pytest.mark.parametrize("options", [{"normalise_values": True}, {"huber_delta": 0.1},
                                     {"clip_by_group": True, "max_grad_norm": 0.01}])  # fmt: skip
def test_each_setting_changes_what_is_learnt(toy: Any, options: dict[str, Any]) -> None:
    plain = learnt(toy, max_grad_norm=options.get("max_grad_norm", 0.5))
    changed = learnt(toy, **options)
    assert not same(weights_of(plain), weights_of(changed))


def test_a_large_huber_delta_is_the_squared_error(toy: Any) -> None:
    plain, huber = learnt(toy), learnt(toy, huber_delta=1e6)
    for name, array in weights_of(plain).items():
        assert weights_of(huber)[name] == pytest.approx(array, abs=2e-4), name


def test_gradients_are_clipped_apart(toy: Any) -> None:
    model: Any = toy_model(toy, clip_by_group=True, max_grad_norm=0.5)
    for name, parameter in model.policy.named_parameters():
        parameter.grad = torch.full_like(parameter, 1.0 if "value_net" in name else 1e-6)
    model._clip_gradients()
    norms = {"critic": 0.0, "actor": 0.0}
    for name, parameter in model.policy.named_parameters():
        norms["critic" if "value_net" in name else "actor"] += float(parameter.grad.square().sum())
    assert norms["critic"] ** 0.5 == pytest.approx(0.5, rel=1e-4)
    assert norms["actor"] ** 0.5 < 1e-3, "a small gradient is left alone beside a large one"
    assert model.policy.log_std.grad == pytest.approx(1e-6)


def test_value_scale_follows_the_returns_and_keeps_values(toy: Any) -> None:
    scale, head = ValueScale(memory=0.5), torch.nn.Linear(3, 1)
    features = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    generator = np.random.default_rng(0)
    before = scale.values(head(features))
    rollouts = [generator.normal(mean, 3.0, 4000) for mean in (500.0, 520.0)]
    for returns in rollouts:
        scale.update(returns, [head])
        assert scale.values(head(features)).detach().numpy() == pytest.approx(
            before.detach().numpy(), rel=1e-4, abs=1e-3
        )
    weights = np.repeat([1 / 3, 2 / 3], 4000)
    everything = np.concatenate(rollouts)
    mean = np.average(everything, weights=weights)
    assert scale.offset == pytest.approx(mean)
    assert scale.deviation == pytest.approx(
        np.average((everything - mean) ** 2, weights=weights) ** 0.5, rel=1e-6
    )
    assert scale.values(scale.outputs(before)).detach().numpy() == pytest.approx(
        before.detach().numpy(), abs=1e-3
    )


class Rollout(BaseCallback):
    """Copies of a rollout before training turns it round."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Any] = {}

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer: Any = self.model.rollout_buffer  # type: ignore[attr-defined]
        for name in ("rewards", "advantages", "returns", "values", "episode_starts", "costs",
                     "cost_advantages", "cost_returns", "present"):  # fmt: skip
            if hasattr(buffer, name):
                self.seen[name] = getattr(buffer, name).copy()


def team(world: Any, kind: type[PPO] = Learner, key: str = "state", **options: Any) -> PPO:
    env = MultiAgentVecEnv(world, team_share=0.5)
    settings = {"n_steps": 8, "batch_size": world.num_envs * len(world.agents) * 4, "n_epochs": 2}
    policy = {"net_arch": {"pi": [8], "vf": [8]}, "critic_key": key, "layout": env.layout}
    return kind(MultiAgentPolicy, env, policy_kwargs=policy, seed=2, device="cpu",
                **settings | options)  # fmt: skip


def test_cut_episodes_are_bootstrapped_as_stable_baselines3_does(lq_team: Any) -> None:
    """One batch for all rows: the same numbers but for the last bits."""
    found = []
    for kind in (PPO, Learner):
        recorder = Rollout()
        model = team(lq_team.LqTeam(16), kind)
        model.learn(8 * 32, callback=recorder)
        found.append(recorder.seen)
    assert found[0]["episode_starts"][1:].any()
    for name in ("rewards", "advantages", "returns"):
        assert found[1][name] == pytest.approx(found[0][name], abs=1e-5), name


def test_values_of_cut_episodes_are_scaled_back(lq_team: Any) -> None:
    """A critic that puts out 0 everywhere means the mean return, also where an episode was cut."""
    recorder = Rollout()
    model: Any = team(lq_team.LqTeam(16), normalise_values=True)
    heads = model.policy.value_heads
    with torch.no_grad():
        for head in heads:
            head.weight.zero_()
            head.bias.zero_()
    model.value_scale.update(np.array([90.0, 110.0]), [torch.nn.Linear(1, 1)])
    plain = lq_team.LqTeam(16)
    model.learn(8 * 32, callback=recorder)
    assert recorder.seen["values"] == pytest.approx(100.0)
    cut = recorder.seen["episode_starts"][1:].astype(bool)
    rewards = recorder.seen["rewards"][:-1]
    assert cut.any() and rewards[cut].min() > 80.0 and rewards[~cut].max() < 1e-9
    assert plain.horizon == 10


@pytest.mark.parametrize("key", ["obs", "state"])
@pytest.mark.parametrize("limits", [{}, {"heat": 2.0}])
def test_rows_of_absent_agents_contribute_nothing(
    roster: Any, key: str, limits: dict[str, float]
) -> None:
    """Whatever an absent agent would see and get: the weights are the same, bit for bit."""
    options: dict[str, Any] = {"cost_limits": limits, "multiplier_start": 0.1}
    found = []
    for garbage in (0.0, 1e4):
        model = team(roster.Roster(4, garbage), key=key, normalise_values=True, **options)
        model.learn(8 * 12 * 3)
        found.append(weights_of(model))
    assert same(*found)
    assert all(np.isfinite(array).all() for array in found[0].values())


def test_minibatches_hold_those_who_were_there(roster: Any) -> None:
    model: Any = team(roster.Roster(4))
    model.learn(8 * 12)
    buffer = model.rollout_buffer
    sizes = [len(samples.advantages) for samples in buffer.get(16)]
    # The car is there in half of the steps: 2.5 agents a step on average.
    assert sum(sizes) == 8 * 4 * 2.5 and set(sizes) == {16}
    cars = sum(float((samples.observations["obs"][:, 3] == 1.0).sum()) for samples in buffer.get())
    assert cars == 8 * 4 / 2


def test_costs_in_the_buffer_are_the_environment_s(toy: Any) -> None:
    recorder = Rollout()
    model: Any = toy_model(toy, cost_limits={"overfill_kwh": 4.0})
    totals: list[Any] = []

    class Totals(Rollout):
        def _on_step(self) -> bool:
            totals.append(self.training_env.simulator.costs.copy())  # type: ignore[attr-defined]
            return True

    model.learn(32 * 12, callback=[recorder, Totals()])
    assert recorder.seen["costs"] == pytest.approx(np.array(totals) / 4.0)
    # Each row is a whole episode long: 12 of its steps, from wherever it began.
    expected = np.array(totals)[:, :, 0].sum(axis=0).mean()
    assert model._episode_costs * 4.0 == pytest.approx([expected], rel=1e-5)


def test_advantages_of_several_signals_are_those_of_each(toy: Any) -> None:
    """Against stable-baselines3's own recursion, signal by signal."""
    from stable_baselines3.common.buffers import RolloutBuffer

    generator = np.random.default_rng(3)
    rewards, values = generator.normal(size=(2, 9, 5, 2)).astype(np.float32)
    last = generator.normal(size=(5, 2)).astype(np.float32)
    starts = (generator.random((9, 5)) < 0.2).astype(np.float32)
    dones = np.array([True, False, False, True, False])
    found = advantages_of(rewards, values, last, starts, dones, 0.9, 0.8)
    box = gymnasium.spaces.Box(-1.0, 1.0, (1,))
    for signal in range(2):
        buffer = RolloutBuffer(9, box, box, "cpu", 0.8, 0.9, 5)
        buffer.rewards, buffer.values = rewards[:, :, signal], values[:, :, signal]
        buffer.episode_starts = starts
        buffer.compute_returns_and_advantage(torch.tensor(last[:, signal]), dones)
        assert found[:, :, signal] == pytest.approx(buffer.advantages, abs=1e-5)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"overfil_kwh": 1.0}, "there is no cost 'overfil_kwh'; the environment reports overfill"),
        ({"overfill_kwh": -1.0}, r"overfill_kwh: a number >= 0 is expected, got -1\.0"),
        ({"overfill_kwh": float("nan")}, "overfill_kwh: a number >= 0"),
    ],
)
def test_an_impossible_limit_is_refused(toy: Any, limits: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        toy_model(toy, cost_limits=limits)


def mirrored(toy: Any, envs: int, **options: Any) -> Any:
    env = SB3VecEnv(toy.make_simulator(num_envs=envs, stagger=False), in_pairs=True)
    settings = {"n_steps": 12, "batch_size": 12 * envs, "n_epochs": 1} | options
    return Learner(
        "MlpPolicy", env, seed=1, device="cpu", use_sde=True, mirror_lanes=True, **settings
    )


class KeepRollouts(BaseCallback):
    """Rollouts as the learner will use them, before they are turned round."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, Any]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        buffer: Any = self.model.rollout_buffer  # type: ignore[attr-defined]
        tensor = torch.as_tensor(buffer.observations).flatten(0, 1)
        mean = self.model.policy.get_distribution(tensor).mode().detach().numpy()  # type: ignore[operator]
        self.found.append(
            {
                "observations": buffer.observations.copy(),
                "noise": buffer.actions - mean.reshape(buffer.actions.shape),
                "rewards": buffer.rewards.copy(),
                "advantages": buffer.advantages.copy(),
            }
        )


def test_mirrored_lanes_meet_the_same_worlds_with_opposite_noise(toy: Any) -> None:
    keep = KeepRollouts()
    mirrored(toy, 16, policy_kwargs={"log_std_init": -1.0}).learn(16 * 12 * 3, callback=keep)
    seen_starts = set()
    for rollout in keep.found:
        one, other = rollout["observations"][:, :8], rollout["observations"][:, 8:]
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[..., 2], other[..., 2]), "the price now, in all steps"
        assert rollout["noise"][0, :8] == pytest.approx(-rollout["noise"][0, 8:], abs=1e-6)
        assert np.abs(rollout["noise"][0]).min() > 0.0
        earned = rollout["rewards"].sum(axis=0)
        more = 0.5 * (earned[:8] - earned[8:])
        assert np.abs(more).max() > 0.0
        expected = np.broadcast_to(np.concatenate([more, -more]), (12, 16))
        assert rollout["advantages"] == pytest.approx(expected, abs=1e-5)
        seen_starts.add(one[0].tobytes())
    assert len(seen_starts) == 3, "each rollout is another episode"


def test_nothing_is_learnt_from_luck(toy: Any) -> None:
    """Where actions have no noise, both of a pair earn the same."""
    keep = KeepRollouts()
    model = mirrored(toy, 16, policy_kwargs={"log_std_init": -20.0}, learning_rate=1e-12)
    model.learn(16 * 12 * 2, callback=keep)
    for rollout in keep.found:
        assert rollout["rewards"].sum(axis=0).std() > 0.1
        assert np.abs(rollout["advantages"]).max() < 1e-5


def test_mirrored_lanes_learn_what_whole_episodes_earn(toy: Any) -> None:
    """One step along advantage times score, as the loss has it, against what a step that way and
    one the other way earn in the same worlds."""
    model = mirrored(toy, 4096, policy_kwargs={"log_std_init": -3.0}, learning_rate=1e-12)
    keep = KeepRollouts()
    model.learn(4096 * 12 * 4, callback=keep)
    policy = model.policy
    tensor = torch.as_tensor(np.concatenate([r["observations"] for r in keep.found]))
    with torch.no_grad():
        latent = policy.mlp_extractor.forward_actor(tensor)
    score = np.concatenate([r["advantages"] * r["noise"][..., 0] for r in keep.found])
    direction = torch.einsum("tn,tnd->d", torch.as_tensor(score), latent)
    direction /= direction.norm()

    def earned(step: float) -> Any:
        env = SB3VecEnv(toy.make_simulator(num_envs=4096, stagger=False), in_pairs=True)
        env.seed(1)
        observations: Any = env.reset()
        total = np.zeros(4096)
        for _ in range(12):
            with torch.no_grad():
                tensor = torch.as_tensor(observations)
                mean = policy.get_distribution(tensor).mode()
                mean = (
                    mean + step * (policy.mlp_extractor.forward_actor(tensor) @ direction)[:, None]
                )
            observations, rewards, _, _ = env.step(np.clip(mean.numpy(), -1.0, 1.0))
            total += rewards
        return total[:2048]

    for forth, back in ((0.1, -0.1), (0.1, 0.0), (0.0, -0.1)):
        gain = earned(forth) - earned(back)
        assert gain.mean() > 4.0 * gain.std() / len(gain) ** 0.5 > 0.0


def test_a_rollout_of_mirrored_lanes_is_one_episode() -> None:
    rewards, starts = np.zeros((3, 4), dtype=np.float32), np.zeros((3, 4), dtype=np.float32)
    with pytest.raises(ValueError, match=r"3 decisions is one episode .* lanes \[0, 1, 2, 3\]"):
        mirrored_advantages(rewards, starts, np.ones(4, dtype=bool))
    starts[0] = 1.0
    with pytest.raises(ValueError, match=r"lanes \[2\] began or ended one elsewhere"):
        mirrored_advantages(rewards, starts, np.array([True, True, False, True]))


def test_costs_of_mirrored_lanes_are_compared_likewise(toy: Any) -> None:
    """A limit that is far away keeps the gradient; one that is exceeded turns it to the cost."""
    for limit, exceeded in ((100.0, False), (0.01, True)):
        model = mirrored(
            toy, 16, policy_kwargs={"log_std_init": -1.0}, learning_rate=1e-12,
            cost_limits={"overfill_kwh": limit}, multiplier_rate=1.0,
        )  # fmt: skip
        keep = KeepRollouts()
        model.learn(16 * 12, callback=keep)
        buffer: Any = model.rollout_buffer
        costs = buffer.costs[..., 0].sum(axis=0)
        more = 0.5 * (costs[:8] - costs[8:])
        expected = np.broadcast_to(np.concatenate([more, -more]), (12, 16))
        assert np.abs(more).max() > 0.0
        assert buffer.cost_advantages[..., 0] == pytest.approx(expected, abs=1e-5)
        constraints: Any = model.constraints
        weight = float(constraints.multipliers[0].detach())
        assert (weight > 0.0) == exceeded


def test_mirrored_lanes_need_lasting_noise(toy: Any) -> None:
    env = SB3VecEnv(toy.make_simulator(num_envs=4, stagger=False), in_pairs=True)
    with pytest.raises(ValueError, match="mirror_lanes: use_sde and an even number of lanes"):
        Learner("MlpPolicy", env, mirror_lanes=True, device="cpu", n_steps=12, batch_size=48)
