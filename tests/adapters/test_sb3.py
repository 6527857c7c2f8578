"""stable-baselines3's face: a rollout buffer holds exactly the recorded trajectory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

import daogym
from daogym.envs.adapters.sb3 import SB3VecEnv
from daogym.envs.energy.layout import D_STOCK_PRICE

pytestmark = pytest.mark.kernel

N = 3


def make(n: int = N, stagger: bool = True, **options: Any) -> SB3VecEnv:
    return SB3VecEnv(daogym.make_simulator("lv_rural", n, stagger=stagger), **options)


class Recorder(BaseCallback):
    """What the learner saw and did in each step of the rollout."""

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[Any] = []
        self.infos: list[Any] = []
        self.buffer: dict[str, Any] = {}

    def _on_rollout_end(self) -> None:
        # Training turns the buffer's arrays round.
        buffer = self.model.rollout_buffer  # type: ignore[attr-defined]
        for name in ("observations", "rewards", "episode_starts"):
            self.buffer[name] = getattr(buffer, name).copy()

    def _on_step(self) -> bool:
        self.actions.append(np.array(self.locals["clipped_actions"]))
        self.infos.append([dict(info) for info in self.locals["infos"]])
        return True


@pytest.mark.parametrize("control_variate", [True, False])
def test_rollout_buffer_is_the_recorded_trajectory(control_variate: bool) -> None:
    """Observations, rewards and episode starts of SB3's own PPO, over the ends of episodes."""
    envs = make(control_variate=control_variate, reward_scale=0.2)
    horizon = envs.simulator.horizon
    steps = horizon + 20
    model = PPO("MlpPolicy", envs, n_steps=steps, batch_size=58, n_epochs=1, seed=12, device="cpu")
    recorder = Recorder()
    model.learn(total_timesteps=steps * N, callback=recorder)
    buffer = recorder.buffer

    replay = daogym.make_simulator("lv_rural", N, stagger=True)
    replay.reset(seed=12)
    observations, starts = replay.observations.copy(), np.ones(N, dtype=np.bool_)
    ends = 0
    for step in range(steps):
        assert np.array_equal(buffer["observations"][step], observations), step
        assert np.array_equal(buffer["episode_starts"][step], starts), step
        replay.step(recorder.actions[step])
        money = replay.rewards - replay.baselines if control_variate else replay.rewards
        rewards = (money * 0.2).astype(np.float32)
        starts = replay.terminated.copy()
        for lane in range(N):
            info = recorder.infos[step][lane]
            if not starts[lane]:
                assert info == {}
                continue
            ends += 1
            assert np.array_equal(info["terminal_observation"], replay.final_observations[lane])
            assert info["TimeLimit.truncated"] is False
            assert info["episode"]["r"] == replay.episode_reward[lane]
            assert info["episode"]["l"] == replay.episode_length[lane]
            for name in ("terms", "costs", "events"):
                assert np.array_equal(
                    info[f"episode_{name}"], getattr(replay, f"episode_{name}")[lane]
                )
        # A terminated row is not bootstrapped, so the buffer's reward is the plain one.
        assert np.array_equal(buffer["rewards"][step], rewards), step
        observations = replay.observations.copy()
    assert ends >= N
    assert np.array_equal(model._last_obs, observations)
    assert np.array_equal(model._last_episode_starts, starts)
    lengths = [row["l"] for row in model.ep_info_buffer]
    assert len(lengths) == ends and max(lengths) <= horizon


def test_what_was_handed_out_survives_the_next_step() -> None:
    """SB3 reads the last observations and dones after the step that made new ones."""
    envs = make()
    first = envs.reset()
    kept = first.copy()
    actions = np.ones((N, envs.action_space.shape[0]), dtype=np.float32)
    dones, kept_dones = np.zeros(N, dtype=np.bool_), np.zeros(N, dtype=np.bool_)
    for step in range(2 * envs.simulator.horizon):
        second, rewards, new_dones, infos = envs.step(actions * (-1) ** step)
        assert np.array_equal(first, kept) and second is not first
        assert np.array_equal(dones, kept_dones) and dones is not new_dones
        rewards += 1e6  # as SB3 does with bootstraps
        assert not np.any(envs.simulator.rewards > 1e5)
        first, kept = second, second.copy()
        dones, kept_dones = new_dones, new_dones.copy()
        for lane in np.flatnonzero(new_dones):
            assert not np.array_equal(infos[lane]["terminal_observation"], second[lane])


def test_terminal_observations_are_copies() -> None:
    envs = make(stagger=False)
    envs.reset()
    actions = np.zeros((N, envs.action_space.shape[0]), dtype=np.float32)
    for _ in range(envs.simulator.horizon):
        *_, dones, infos = envs.step(actions)
    assert dones.all()
    assert not envs.truncated_rows.any(), "episodes end, none is cut"
    assert envs.cost_names == envs.simulator.cost_names and envs.episode_steps == 96.0
    assert np.array_equal(envs.costs, envs.simulator.costs)
    assert np.array_equal(
        envs.final_observations, np.stack([info["terminal_observation"] for info in infos])
    )
    terminal = [info["terminal_observation"] for info in infos]
    kept = [row.copy() for row in terminal]
    episode = [info["episode_costs"].copy() for info in infos]
    for _ in range(envs.simulator.horizon):
        envs.step(actions + 0.7)
    assert all(np.array_equal(a, b) for a, b in zip(terminal, kept, strict=True))
    assert all(np.array_equal(i["episode_costs"], e) for i, e in zip(infos, episode, strict=True))
    time_left = envs.simulator.observation_fields.slice("time_left")
    assert all(row[time_left] == -1.0 for row in terminal)


def test_infos_between_ends_are_one_read_only_mapping() -> None:
    envs = make(stagger=False)
    envs.reset()
    *_, infos = envs.step(np.zeros((N, envs.action_space.shape[0])))
    assert all(info is infos[0] for info in infos)
    with pytest.raises(TypeError):
        infos[0]["poison"] = 1
    assert infos[0].get("episode") is None and len(infos[0]) == 0


def test_a_seed_holds_for_the_next_reset_only() -> None:
    envs = make(stagger=False)
    assert envs.seed(5) == [5, 6, 7]
    first = envs.reset().copy()
    second = envs.reset().copy()
    envs.seed(5)
    assert np.array_equal(envs.reset(), first) and not np.array_equal(first, second)
    simulator = daogym.make_simulator("lv_rural", N)
    simulator.reset(seed=5)
    assert np.array_equal(simulator.observations, first)


def test_rewards_are_scaled_money_less_the_worlds_own() -> None:
    default, plain = make(stagger=False), make(stagger=False, control_variate=False)
    scale = default.simulator.scenario.reward_scale
    assert default.reward_scale == plain.reward_scale == scale
    for envs in (default, plain):
        envs.seed(1)
        envs.reset()
    rng = np.random.default_rng(0)
    for _ in range(20):
        actions = rng.uniform(-1, 1, (N, default.action_space.shape[0]))
        with_variate, without = default.step(actions)[1], plain.step(actions)[1]
        assert with_variate.dtype == without.dtype == np.float32
        s = default.simulator
        assert np.allclose(with_variate, scale * (s.rewards - s.baselines), rtol=1e-6)
        assert np.allclose(without, scale * s.rewards, rtol=1e-6)
        assert np.allclose(without - with_variate, scale * s.baselines, rtol=1e-4, atol=1e-6)


def test_wrappers_of_stable_baselines3_fit() -> None:
    envs = VecNormalize(VecMonitor(make(stagger=False)), norm_obs=False, norm_reward=False)
    envs.seed(3)
    envs.reset()
    actions = np.zeros((N, envs.action_space.shape[0]), dtype=np.float32)
    total = np.zeros(N)
    for _ in range(96):
        _, rewards, dones, infos = envs.step(actions)
        total += rewards
    assert dones.all()
    # VecMonitor's own sum of what the learner sees takes the place of the EUR.
    assert [info["episode"]["r"] for info in infos] == pytest.approx(total.tolist(), rel=1e-4)


def test_what_a_batch_of_lanes_cannot_do_is_refused() -> None:
    envs = make()
    assert envs.get_attr("reward_scale") == [0.1] * N
    assert envs.get_attr("reward_scale", [0, 2]) == [0.1] * 2
    assert envs.env_is_wrapped(VecMonitor) == [False] * N
    with pytest.raises(AttributeError, match="'spam'"):
        envs.set_attr("spam", 1)
    with pytest.raises(AttributeError, match="'spam'"):
        envs.env_method("spam")
    envs.reset()
    with pytest.raises(ValueError, match=r"shape \(3, 9\) expected"):
        envs.step(np.zeros((N, 4)))
    with pytest.raises(ValueError, match="same_step autoreset expected, got 'disabled'"):
        SB3VecEnv(daogym.make_simulator("lv_rural", 2, autoreset="disabled"))


def test_observations_go_on_after_a_restore() -> None:
    envs = make()
    envs.reset()
    actions = np.full((N, envs.action_space.shape[0]), 0.3)
    for _ in range(5):
        expected = envs.step(actions)[0].copy()
    snapshot = envs.simulator.snapshot()
    later = envs.step(actions)[0].copy()
    fresh = make()
    fresh.simulator.restore(snapshot)
    assert np.array_equal(fresh.resume_observations(), expected)
    assert np.array_equal(fresh.step(actions)[0], later)


def test_what_the_stock_gains_is_rewarded_at_once() -> None:
    """Step by step against the state; over an episode only its first stock is missing."""
    envs = make(stagger=False, reward_scale=1.0, stock_discount=0.9)
    plain = make(stagger=False, reward_scale=1.0)
    domain: Any = envs.simulator.domain
    days = domain.loaded.days[D_STOCK_PRICE]
    efficiency = domain.scenario.batteries.efficiency

    def worth() -> Any:
        stored = envs.simulator.state("soc_kwh").sum(axis=1)
        return stored * efficiency * days[envs.simulator.state("day")]

    for each in (envs, plain):
        each.seed(3)
        each.reset()
    before = worth()
    draw = np.random.default_rng(0)
    for step in range(envs.simulator.horizon):
        actions = draw.uniform(-1, 1, (N, envs.simulator.action_size)).astype(np.float32)
        _, shaped, ended, _ = envs.step(actions)
        _, money, _, _ = plain.step(actions)
        after = np.where(ended, 0.0, worth())
        np.testing.assert_allclose(
            shaped - money, 0.9 * after - before, atol=2e-3, err_msg=str(step)
        )
        before = worth()
    assert ended.all()
    with pytest.raises(ValueError, match="no `stock_value`"):
        SB3VecEnv(daogym.make_simulator("serial_3", 2), stock_discount=0.9)


@pytest.mark.parametrize("hold", [2, 7])
def test_a_held_action_sums_what_its_steps_bring(hold: int) -> None:
    """Against single steps, over the ends of episodes; what a new one earns is nobody's."""
    held, single = make(reward_scale=1.0, hold_steps=hold), make(reward_scale=1.0)
    for each in (held, single):
        each.seed(4)
        each.reset()
    draw = np.random.default_rng(1)
    ends = 0
    for decision in range(single.simulator.horizon // hold + 20):
        actions = draw.uniform(-1, 1, (N, single.simulator.action_size)).astype(np.float32)
        observations, rewards, dones, infos = held.step(actions)
        money, costs, over = np.zeros(N), np.zeros(single.costs.shape), np.zeros(N, dtype=bool)
        last: dict[int, Any] = {}
        for _ in range(hold):
            seen, gained, ended, told = single.step(actions)
            money += np.where(over, 0.0, gained)
            costs += np.where(over[:, None], 0.0, single.costs)
            last |= {lane: told[lane] for lane in np.flatnonzero(ended).tolist()}
            over |= ended
        assert np.array_equal(observations, seen), decision
        np.testing.assert_allclose(rewards, money, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(held.costs, costs, rtol=1e-12)
        assert np.array_equal(dones, over) and np.array_equal(held.ended_lanes, over)
        assert not held.truncated_rows.any(), "episodes end, none is cut"
        for lane in range(N):
            assert (lane in last) == bool(infos[lane])
        for lane, info in last.items():
            assert infos[lane]["episode"]["r"] == info["episode"]["r"]
            assert np.array_equal(infos[lane]["terminal_observation"], info["terminal_observation"])
        ends += len(last)
    assert ends >= N and held.episode_steps == single.episode_steps / hold
    with pytest.raises(ValueError, match="hold_steps: 1 to 95 expected, got 96"):
        make(hold_steps=96)


def test_lanes_in_pairs_meet_the_same_worlds_in_all_episodes() -> None:
    half = 4
    face = make(2 * half, in_pairs=True, stagger=False)
    face.seed(3)
    observations = face.reset()
    draw = np.random.default_rng(2)
    different = 0
    for _ in range(2 * face.simulator.horizon + 3):
        same = [observations[i].tobytes() for i in range(half)]
        assert same == [observations[i + half].tobytes() for i in range(half)]
        different += len(set(same)) == half
        actions = draw.uniform(-1, 1, (half, face.simulator.action_size)).astype(np.float32)
        observations, rewards, _, _ = face.step(np.concatenate([actions, actions]))
        assert np.array_equal(rewards[:half], rewards[half:])
    assert different > face.simulator.horizon, "pairs differ from each other"
    with pytest.raises(ValueError, match="in_pairs: an even number of lanes expected, got 3"):
        SB3VecEnv(daogym.make_simulator("lv_rural", 3), in_pairs=True)
