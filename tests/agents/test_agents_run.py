"""IPPO and MAPPO from settings to report, on the toy store held by two agents."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from daogym.agents.checkpoint import CheckpointError, read_tensors
from daogym.agents.comparison import load_target
from daogym.agents.config import TrainConfig
from daogym.agents.evaluation import EpisodeSet, play
from daogym.agents.export.onnx_policy import OnnxPolicy
from daogym.agents.export.run import export_run
from daogym.agents.export.verify import VerificationError
from daogym.agents.group_policy import GroupPolicy, load_groups
from daogym.agents.policy import load_policy
from daogym.agents.training import train
from daogym.envs.core.strict import ConfigError

Config = Callable[..., TrainConfig]
STEPS = 12 * 64 * 2 * 40


@pytest.mark.parametrize("algo", ["ippo", "mappo"])
def test_two_agents_learn_are_compared_and_exported(
    toy_config: Config, toy_agents: Any, algo: str
) -> None:
    config = toy_config(algo=algo, total_steps=STEPS, eval_every_steps=0, final_episodes=100)
    make = toy_agents.make_simulator
    run = train(config, make_simulator=make, console=Console(quiet=True))
    report = json.loads((run.path / "report.json").read_text())
    by_name = {row["target"]: row["score"] for row in report["results"]}
    assert by_name[str(run.path)] > 50.0, "0 is the best rule, 100 the planner"
    assert report["run"]["steps"] == STEPS, "agent-steps"

    files = sorted(path.name for path in run.path.glob("policy*.onnx"))
    assert files == ["policy-narrow.onnx", "policy-wide.onnx"]
    policies = {name: OnnxPolicy.read(run.path / f"policy-{name}.onnx") for name in
                ("wide", "narrow")}  # fmt: skip
    assert policies["wide"].contract.id == "toy:wide"
    assert policies["wide"].contract.observations.size == 6
    assert policies["narrow"].contract.observations.names == ("soc_kwh",)

    # The exported networks, put together by hand, play what the run plays.
    simulator = EpisodeSet("toy", "test", 50).simulator(make, None)
    ours = play(load_target(str(run.path)), simulator)
    fields = simulator.observation_fields

    class ByHand:
        name, action_mode = "by hand", "device"

        def reset(self, simulator: Any) -> None:
            pass

        def act(self, simulator: Any) -> Any:
            physical = fields.denormalise(simulator.observations)
            wide = policies["wide"].act_physical(physical)
            narrow = policies["narrow"].act_physical(physical[:, :1])
            return simulator.action_fields.normalise((wide + narrow) / 2.0)

    simulator.reset(seed=EpisodeSet("toy", "test", 50).seed)
    assert play(ByHand(), simulator).money == pytest.approx(ours.money, abs=1e-3)
    critic = read_tensors(run.last_file)[0]["mlp_extractor.value_net.networks.1.0.weight"]
    # State and one-hot of the agent, or what the agent sees, padded to the wider group.
    assert critic.shape == (32, 6 + 2 if algo == "mappo" else 6)


def test_a_run_of_agents_resumes_bit_for_bit(toy_config: Config, toy_agents: Any) -> None:
    from daogym.agents.callback import RunCallback
    from daogym.agents.training import resume

    changes = {"algo": "mappo", "normalise_values": True, "total_steps": 12 * 128 * 6,
               "eval_every_steps": 12 * 128 * 2, "cost_limits": {"overfill_kwh": 3.0},
               "checkpoint_every_rollouts": 2}  # fmt: skip
    options = {"make_simulator": toy_agents.make_simulator, "console": Console(quiet=True)}
    whole = train(toy_config(run_name="whole", **changes), **options, conclude=False)
    saved = RunCallback.save_checkpoint

    def stop_after_the_second(self: Any) -> None:
        saved(self)
        if self.state.rollouts == 4:
            raise KeyboardInterrupt

    patch = pytest.MonkeyPatch()
    patch.setattr(RunCallback, "save_checkpoint", stop_after_the_second)
    config = toy_config(run_name="broken", **changes)
    with pytest.raises(KeyboardInterrupt):
        train(config, **options, conclude=False)
    patch.undo()
    broken = whole.path.with_name("broken")
    again = resume(broken, **options, conclude=False)
    for name in ("policy_last.safetensors", "policy_best.safetensors"):
        assert (broken / name).read_bytes() == (whole.path / name).read_bytes(), name
    ours, theirs = (read_tensors(run.checkpoint_file)[0] for run in (again, whole))
    assert ours.keys() == theirs.keys() and "last_obs/state" in ours
    assert "extra/value_scale/mean" in ours and "extra/constraints/multipliers" in ours
    for name, array in ours.items():
        assert array.tobytes() == theirs[name].tobytes(), name


def test_a_wrong_export_of_a_group_leaves_no_file(
    toy_config: Config, toy_agents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = toy_agents.make_simulator
    run = train(toy_config(algo="ippo"), make_simulator=make, conclude=False,
                console=Console(quiet=True))  # fmt: skip
    act = OnnxPolicy.act_physical
    monkeypatch.setattr(OnnxPolicy, "act_physical", lambda self, seen: -act(self, seen))
    with pytest.raises(VerificationError, match="return differs"):
        export_run(run, make)
    assert not list(run.path.glob("*.onnx"))
    with pytest.raises(CheckpointError, match="not a policy file"):
        load_policy(run.last_file)


def test_policies_of_agents_need_their_agents(
    toy_config: Config, toy_agents: Any, toy: Any
) -> None:
    make = toy_agents.make_simulator
    run = train(toy_config(algo="mappo"), make_simulator=make, conclude=False,
                console=Console(quiet=True))  # fmt: skip
    policy = load_target(str(run.path))
    assert isinstance(policy, GroupPolicy)
    with pytest.raises(ValueError, match="the domain 'toy' has no agents"):
        policy.reset(toy.make_simulator(num_envs=2))
    groups = load_groups(run.last_file)
    assert [name for name, _, _ in groups] == ["wide", "narrow"]
    less = GroupPolicy("less", {"wide": groups[0][2]}, policy.acts[:1])
    with pytest.raises(ValueError, match=r"its groups are \['wide'\], the scenario's \['wide', "):
        less.reset(make(num_envs=2))
    simulator = make(num_envs=3)
    simulator.reset(seed=0)
    policy.reset(simulator)
    assert np.array_equal(policy.act(simulator), policy.act(simulator))
    for key, value in (("warm_start", True), ("hidden_fields", ["soc_kwh"])):
        with pytest.raises(ConfigError, match=f"{key}.*not with algo=mappo"):
            train(toy_config(algo="mappo", run_name=key, **{key: value}), make_simulator=make)
