// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// The spending rule of Safe's AllowanceModule, version 0.1.x, for one delegate and one token.
///
/// Written anew from the module's behaviour, since no package of the registry holds its source: the
/// same field widths and the same wrapping arithmetic as Solidity 0.7 has, without delegates,
/// signatures, refunds and the transfer itself.
contract SpendingAllowance {
    struct Allowance {
        uint96 amount;
        uint96 spent;
        uint16 resetMinutes;
        uint32 lastResetMinute;
    }

    Allowance private stored;

    error BadReset();
    error OverAllowance();

    function currentMinute() public view returns (uint32) {
        return uint32(block.timestamp / 60);
    }

    /// The allowance as a spender meets it now: a period that has passed empties what was spent, and
    /// the last reset stays on the grid of the first one.
    function allowance() public view returns (Allowance memory current) {
        current = stored;
        uint32 minute = currentMinute();
        unchecked {
            if (
                current.resetMinutes > 0 && current.lastResetMinute <= minute - current.resetMinutes
            ) {
                uint32 beyond = (minute - current.lastResetMinute) % current.resetMinutes;
                current.spent = 0;
                current.lastResetMinute = minute - beyond;
            }
        }
    }

    /// A base of 0 keeps the last reset, or begins now where there was none; what was spent stays.
    function setAllowance(uint96 amount, uint16 resetMinutes, uint32 baseMinute) external {
        Allowance memory current = allowance();
        uint32 minute = currentMinute();
        if (baseMinute > 0) {
            if (baseMinute > minute || resetMinutes == 0) revert BadReset();
            current.lastResetMinute = minute - ((minute - baseMinute) % resetMinutes);
        } else if (current.lastResetMinute == 0) {
            current.lastResetMinute = minute;
        }
        current.resetMinutes = resetMinutes;
        current.amount = amount;
        stored = current;
    }

    function resetAllowance() external {
        Allowance memory current = allowance();
        current.spent = 0;
        stored = current;
    }

    function deleteAllowance() external {
        delete stored;
    }

    function spend(uint96 value) external {
        Allowance memory current = allowance();
        uint96 spent;
        unchecked {
            spent = current.spent + value;
        }
        if (spent <= current.spent || spent > current.amount) revert OverAllowance();
        current.spent = spent;
        stored = current;
    }
}
