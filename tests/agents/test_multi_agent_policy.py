"""Actors see their own observation alone, and every group has a policy of its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from daogym.agents.multi_agent_policy import MultiAgentPolicy
from daogym.envs.adapters.multi_agent import MultiAgentVecEnv

ARCHITECTURES = [{"pi": [8, 8], "vf": [16]}, {"pi": [], "vf": []}]


def policy_of(world: Any, key: str = "state", arch: Any = None) -> tuple[Any, Any]:
    env = MultiAgentVecEnv(world)
    torch.manual_seed(0)
    policy = MultiAgentPolicy(
        env.observation_space,  # type: ignore[arg-type]
        env.action_space,
        lambda _: 1e-3,
        net_arch=arch or {"pi": [8], "vf": [16]},
        critic_key=key,
        layout=env.layout,
    )
    for parameter in policy.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.7)
    return policy, {name: torch.tensor(array) for name, array in env.reset().items()}


def both(policy: Any, observations: Any) -> tuple[Any, Any]:
    with torch.no_grad():
        actions = policy.get_distribution(observations).mode()
        return actions, policy.predict_values(observations)


@pytest.mark.parametrize("world", ["roster", "lq_team"])
@pytest.mark.parametrize("key", ["obs", "state"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_state_never_changes_an_action(
    request: pytest.FixtureRequest, world: str, key: str, arch: Any
) -> None:
    module = request.getfixturevalue(world)
    make = module.Roster if world == "roster" else module.LqTeam
    policy, observations = policy_of(make(4), key, arch)
    actions, values = both(policy, observations)
    other = {**observations, "state": torch.randn(observations["state"].shape)}
    new_actions, new_values = both(policy, other)
    assert torch.equal(actions, new_actions)
    assert torch.equal(values, new_values) == (key == "obs")
    torch.manual_seed(1)
    sampled = policy(observations)
    torch.manual_seed(1)
    again = policy(other)
    assert torch.equal(sampled[0], again[0]) and torch.equal(sampled[2], again[2])
    other = {**observations, "obs": observations["obs"].clone()}
    other["obs"][:, 0] += 0.5
    new_actions, new_values = both(policy, other)
    assert not torch.equal(actions, new_actions)
    assert torch.equal(values, new_values) == (key == "state")


def by_hand(network: Any, head: Any, inputs: Any) -> Any:
    with torch.no_grad():
        return head(network(inputs))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_row_goes_through_the_networks_of_its_group(roster: Any, arch: Any) -> None:
    policy, observations = policy_of(roster.Roster(5), arch=arch)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(3))
    observations = {name: array[order] for name, array in observations.items()}
    actions, values = both(policy, observations)
    extractor = policy.mlp_extractor
    for row, (obs, state) in enumerate(
        zip(observations["obs"], observations["state"], strict=True)
    ):
        group = int(obs[-2:].argmax())
        seen = obs[: (1, 4)[group]]
        mean = by_hand(
            extractor.policy_net.networks[group], policy.action_net.networks[group], seen[None]
        )
        assert torch.allclose(actions[row, : mean.shape[1]], mean[0], atol=1e-6)
        assert (actions[row, mean.shape[1] :] == 0.0).all()
        value = by_hand(extractor.value_net.networks[group], policy.value_heads[group], state[None])
        assert torch.allclose(values[row], value[0], atol=1e-6)


def test_likelihood_and_entropy_count_what_a_group_can_do(roster: Any) -> None:
    policy, observations = policy_of(roster.Roster(2))
    actions = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        values, log_prob, entropy = policy.evaluate_actions(observations, actions)
    assert values.shape == (6, 1)
    means = both(policy, observations)[0]
    deviation = policy.log_std.detach().exp()
    for row in range(6):
        group = 0 if row % 3 == 0 else 1
        expected = entropy_expected = 0.0
        for k in range((1, 2)[group]):
            normal = torch.distributions.Normal(means[row, k], deviation[group, k])
            expected += float(normal.log_prob(actions[row, k]))
            entropy_expected += float(normal.entropy())
        assert float(log_prob[row]) == pytest.approx(expected, rel=1e-5)
        assert float(entropy[row]) == pytest.approx(entropy_expected, rel=1e-5)


def test_a_group_learns_from_its_own_rows_alone(roster: Any) -> None:
    policy, observations = policy_of(roster.Roster(4))
    rows = observations["obs"][:, -2] > 0.5
    chosen = {name: array[rows] for name, array in observations.items()}
    values, log_prob, entropy = policy.evaluate_actions(chosen, torch.zeros(int(rows.sum()), 2))
    (values.sum() + log_prob.sum() + entropy.sum()).backward()
    for name, parameter in policy.named_parameters():
        if name == "log_std":
            assert parameter.grad[0, 0] != 0.0 and (parameter.grad[1] == 0.0).all()
            continue
        group = int(name.split("networks.")[1].split(".")[0])
        moved = parameter.grad is not None and bool((parameter.grad != 0.0).any())
        assert moved == (group == 0), name


def test_all_parameters_are_in_the_optimiser(roster: Any) -> None:
    policy, _ = policy_of(roster.Roster(2))
    known = {id(p) for group in policy.optimizer.param_groups for p in group["params"]}
    assert known == {id(p) for p in policy.parameters()}


def test_an_unknown_key_is_refused(lq_team: Any) -> None:
    with pytest.raises(ValueError, match=r"critic_key: one of .*'obs', 'state'.*'stat'"):
        policy_of(lq_team.LqTeam(1), "stat")
