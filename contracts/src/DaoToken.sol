// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// A votes token counted by block number. Anyone may mint and burn: it lives in tests only.
contract DaoToken is ERC20, ERC20Votes {
    constructor() ERC20("Dao", "DAO") EIP712("Dao", "1") {}

    function mint(address account, uint256 value) external {
        _mint(account, value);
    }

    function burn(address account, uint256 value) external {
        _burn(account, value);
    }

    /// The kernel counts votes in int64 and keeps room for sums of tallies.
    function _maxSupply() internal pure override returns (uint256) {
        return 2 ** 60;
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }

    /// Balance, delegate, votes, and votes at each time point (0 where that is not past), by account;
    /// then the supply and the supply at each time point.
    function observe(
        address[] calldata accounts,
        uint256[] calldata timepoints
    ) external view returns (uint256[] memory seen) {
        uint256 k;
        seen = new uint256[](accounts.length * (3 + timepoints.length) + 1 + timepoints.length);
        uint256 current = clock();
        for (uint256 i = 0; i < accounts.length; ++i) {
            seen[k++] = balanceOf(accounts[i]);
            seen[k++] = uint256(uint160(delegates(accounts[i])));
            seen[k++] = getVotes(accounts[i]);
            for (uint256 j = 0; j < timepoints.length; ++j) {
                seen[k++] = timepoints[j] < current ? getPastVotes(accounts[i], timepoints[j]) : 0;
            }
        }
        seen[k++] = totalSupply();
        for (uint256 j = 0; j < timepoints.length; ++j) {
            seen[k++] = timepoints[j] < current ? getPastTotalSupply(timepoints[j]) : 0;
        }
    }
}
