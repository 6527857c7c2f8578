"""Where the kernel finds each number: parameters, state and outputs."""

from daogym.envs.core.layout import Layout, Part

TERMS = ("sales", "purchases", "holding", "stock")
COSTS = ("lost_sales",)
EVENTS = ("interventions", "invalid_actions", "sold_units", "ordered_units")
LEAD_DAYS = 3

# The simulator's order of an output row: reward, baseline, steps, costs, terms, events.
OUT_REWARD, OUT_BASELINE, OUT_STEPS, OUT_COST = 0, 1, 2, 3
OUT_TERM = OUT_COST + len(COSTS)
OUT_EVENT = OUT_TERM + len(TERMS)
OUT_WIDTH = OUT_EVENT + len(EVENTS)

# Parameters: floats, then whole numbers.
(F_DEMAND, F_PRICE, F_PURCHASE, F_HOLDING, F_LARGEST_ORDER, F_ORDER_CAP) = range(6)
(I_HORIZON, I_AUTORESET, I_STAGGER) = range(3)
AUTORESETS = ("same_step", "next_step", "disabled")

# The simulator itself reads and writes root_key, episode and forced_day.
STATE = Layout(
    [
        Part("root_key", (), "random key of the lane's seed (bits of a uint64)", integer=True),
        Part("episode", (), "episodes begun since the seed was set, minus one", integer=True),
        Part("episode_key", (), "random key of this episode", integer=True),
        Part("forced_day", (), "first weekday asked for, -1 for a draw", integer=True),
        Part("first_weekday", (), "weekday of the first day, 0 = Monday", integer=True),
        Part("step", (), "days done in this episode", integer=True),
        Part("done", (), "1 after the last step of an episode", integer=True),
        Part("stock_units", (), "in the warehouse"),
        Part("pipeline_units", (LEAD_DAYS,), "ordered, by days until delivery"),
        Part("initial_units", (), "stock when the episode began"),
        Part("sums", (OUT_WIDTH,), "sums of all outputs over this episode"),
    ]
)


def _offset(name: str) -> int:
    return STATE.part(name)[1]


S_ROOT_KEY, S_EPISODE, S_EPISODE_KEY = map(_offset, ("root_key", "episode", "episode_key"))
S_FORCED_DAY, S_FIRST_WEEKDAY = _offset("forced_day"), _offset("first_weekday")
S_STEP, S_DONE = _offset("step"), _offset("done")
S_STOCK, S_PIPELINE, S_INITIAL = map(_offset, ("stock_units", "pipeline_units", "initial_units"))
S_SUMS = _offset("sums")
