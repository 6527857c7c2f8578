// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// What a proposal of the test calls: a number that can always be set, and one behind a gate that
/// anyone may open and close, so that the same payload fails now and succeeds later.
contract Target {
    uint256 public value;
    bool public open;

    error Closed();
    error Never();

    function set(uint256 newValue) external {
        value = newValue;
    }

    function setIfOpen(uint256 newValue) external {
        if (!open) revert Closed();
        value = newValue;
    }

    function fail(uint256) external pure {
        revert Never();
    }

    /// For a caller whose language has no Keccak: a description's hash.
    function digest(string calldata text) external pure returns (bytes32) {
        return keccak256(bytes(text));
    }

    function setOpen(bool newOpen) external {
        open = newOpen;
    }
}
