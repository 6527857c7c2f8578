// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {
    GovernorCountingSimple
} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {
    GovernorPreventLateQuorum
} from "@openzeppelin/contracts/governance/extensions/GovernorPreventLateQuorum.sol";
import {
    GovernorProposalGuardian
} from "@openzeppelin/contracts/governance/extensions/GovernorProposalGuardian.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {
    GovernorTimelockControl
} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {
    GovernorVotesQuorumFraction
} from "@openzeppelin/contracts/governance/extensions/GovernorVotesQuorumFraction.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";

/// OpenZeppelin's Governor with every module that the kernel mirrors; it adds views only.
contract DaoGovernor is
    Governor,
    GovernorSettings,
    GovernorCountingSimple,
    GovernorVotes,
    GovernorVotesQuorumFraction,
    GovernorPreventLateQuorum,
    GovernorTimelockControl,
    GovernorProposalGuardian
{
    constructor(
        IVotes token_,
        TimelockController timelock_,
        address guardian,
        uint48 delay,
        uint32 period,
        uint256 threshold,
        uint256 numerator,
        uint48 extension
    )
        Governor("DaoGovernor")
        GovernorSettings(delay, period, threshold)
        GovernorVotes(token_)
        GovernorVotesQuorumFraction(numerator)
        GovernorPreventLateQuorum(extension)
        GovernorTimelockControl(timelock_)
    {
        _setProposalGuardian(guardian);
    }

    /// State (99 where there is no proposal), snapshot, deadline, eta, against, for, abstain, the
    /// accounts that voted as a bit mask, and the quorum (0 until the snapshot is past), by proposal;
    /// then the six parameters.
    function observe(
        uint256[] calldata ids,
        address[] calldata accounts
    ) external view returns (uint256[] memory seen) {
        uint256 k;
        seen = new uint256[](ids.length * 9 + 6);
        for (uint256 i = 0; i < ids.length; ++i) {
            uint256 id = ids[i];
            if (proposalSnapshot(id) == 0) {
                seen[k] = 99;
                k += 9;
                continue;
            }
            seen[k++] = uint256(state(id));
            seen[k++] = proposalSnapshot(id);
            seen[k++] = proposalDeadline(id);
            seen[k++] = proposalEta(id);
            (seen[k], seen[k + 1], seen[k + 2]) = proposalVotes(id);
            k += 3;
            for (uint256 j = 0; j < accounts.length; ++j) {
                if (hasVoted(id, accounts[j])) seen[k] |= 1 << j;
            }
            ++k;
            if (proposalSnapshot(id) < clock()) seen[k] = quorum(proposalSnapshot(id));
            ++k;
        }
        seen[k++] = votingDelay();
        seen[k++] = votingPeriod();
        seen[k++] = proposalThreshold();
        seen[k++] = quorumNumerator();
        seen[k++] = TimelockController(payable(timelock())).getMinDelay();
        seen[k++] = lateQuorumVoteExtension();
    }

    // Solidity wants to be told which base answers where several do; each picks the module's answer.

    function votingDelay() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.votingDelay();
    }

    function votingPeriod() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.votingPeriod();
    }

    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }

    function quorum(
        uint256 timepoint
    ) public view override(Governor, GovernorVotesQuorumFraction) returns (uint256) {
        return super.quorum(timepoint);
    }

    function state(
        uint256 proposalId
    ) public view override(Governor, GovernorTimelockControl) returns (ProposalState) {
        return super.state(proposalId);
    }

    function proposalDeadline(
        uint256 proposalId
    ) public view override(Governor, GovernorPreventLateQuorum) returns (uint256) {
        return super.proposalDeadline(proposalId);
    }

    function proposalNeedsQueuing(
        uint256 proposalId
    ) public view override(Governor, GovernorTimelockControl) returns (bool) {
        return super.proposalNeedsQueuing(proposalId);
    }

    function _tallyUpdated(
        uint256 proposalId
    ) internal override(Governor, GovernorPreventLateQuorum) {
        super._tallyUpdated(proposalId);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor()
        internal
        view
        override(Governor, GovernorTimelockControl)
        returns (address)
    {
        return super._executor();
    }

    function _validateCancel(
        uint256 proposalId,
        address caller
    ) internal view override(Governor, GovernorProposalGuardian) returns (bool) {
        return super._validateCancel(proposalId, caller);
    }
}
