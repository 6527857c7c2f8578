"""What a domain's folder answers for it: controllers, the bound and pictures.

A domain stands in a package with the modules `controllers`, `bound` and `view`. They are imported
when first asked for, so that making a simulator loads neither a solver nor matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .controller import Controller
from .layout import Float
from .shared_control import SharedControl

if TYPE_CHECKING:
    from .multi_agent import AgentsView
    from .shared_control import Seats
    from .simulator import Simulator

SPLITS = ("train", "validation", "test", "all")


def checked_split(split: str) -> str:
    """The split.

    Raises:
        ValueError: there is no such split.
    """
    if split not in SPLITS:
        raise ValueError(f"split: one of {', '.join(SPLITS)} expected, got {split!r}")
    return split


def checked_window(window_days: int | None, episode_days: int) -> int:
    """Days that an observation takes for the length of the episode; by default the episode's.

    Raises:
        ValueError: longer than the episode, or none.
    """
    window = episode_days if window_days is None else window_days
    if not 1 <= window <= episode_days:
        raise ValueError(f"window_days: 1 to {episode_days} expected, got {window_days}")
    return window


class RoomedDomain:
    """The part of a domain that its folder's rooms answer for.

    Attributes:
        package: import name of the domain's folder.
        currency: of rewards and of the bound.
        reported_events: what a comparison shows of the world beside costs: (heading, event), each
            as a mean per day.
        episode_room: the module that draws whole episodes.
    """

    package: ClassVar[str]
    currency: ClassVar[str] = "EUR"
    reported_events: ClassVar[tuple[tuple[str, str], ...]] = ()
    episode_room: ClassVar[str] = "view"
    scenario: Any

    def _room(self, name: str) -> Any:
        return import_module(f"{self.package}.{name}")

    @property
    def controller_names(self) -> tuple[str, ...]:
        """Names that `make_controller` knows."""
        names: tuple[str, ...] = self._room("controllers").CONTROLLER_NAMES
        return names

    @property
    def rule_names(self) -> tuple[str, ...]:
        """The rules among them: candidates for score 0."""
        names: tuple[str, ...] = self._room("controllers").RULE_NAMES
        return names

    @property
    def trivial_names(self) -> tuple[str, ...]:
        """Controllers that know nothing of the episode they act on."""
        names: tuple[str, ...] = self._room("controllers").TRIVIAL_NAMES
        return names

    @property
    def noop_name(self) -> str:
        """The controller that leaves things as they are."""
        return self.rule_names[0]

    def make_controller(self, name: str) -> Controller:
        """A controller for this scenario; its `action_mode` need not be this domain's.

        Raises:
            ValueError: no controller has this name.
        """
        made: Controller = self._room("controllers").make_controller(name, self.scenario)
        return made

    def make_teacher(self) -> Controller:
        """A controller worth imitating that sees no more than the observation holds."""
        made: Controller = self._room("controllers").make_teacher(self.scenario)
        return made

    def upper_bound(self, simulator: Simulator) -> Float:
        """Money that no controller can exceed in the episode each lane is about to play, (N,)."""
        bound: Float = self._room("bound").upper_bound(simulator)
        return bound

    def seats(self) -> Seats:
        """How several agents share the operator's seat.

        Raises:
            ValueError: it cannot be shared in this domain or this action mode.
        """
        if find_spec(f"{self.package}.seats") is None:
            raise ValueError(f"domain {self.package!r}: its operator's seat is not shared")
        made: Seats = self._room("seats").seats(self)
        return made

    def as_agents(self, simulator: Simulator) -> AgentsView:
        """Several agents in the operator's seat, see `seats`."""
        return SharedControl(simulator, self.seats())

    def render(self, simulator: Any, lane: int) -> NDArray[np.uint8]:
        """Picture of one lane now, (height, width, 3); see the domain's view.py."""
        picture: NDArray[np.uint8] = self._room("view").render(self, simulator, lane)
        return picture

    def plot_episodes(
        self, players: Sequence[tuple[str, Simulator, Callable[[Any], Any]]], path: Path
    ) -> None:
        """Play lane 0 of each (name, simulator, act) to its end; draw the episodes side by side.

        The simulators stand at a start and do not reset themselves (autoreset "disabled").
        """
        room = self._room(self.episode_room)
        room.episode_plot([room.record_episode(s, act, name=n) for n, s, act in players], path)
