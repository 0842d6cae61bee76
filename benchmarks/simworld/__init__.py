"""A simulated world: hidden rules, and models that are prompts in, text out.

A forward model follows the rules that its prompt states, a critic names causes with
noise, and a rewriter adds, forgets and breaks things. All three see only the strings
that a language model would see; only the exact value of a prompt (`World.accuracy`)
looks behind them, and no optimizer gets to see it.

What it can show: how search and gates spend calls. What it cannot: how good prompts
are for a real model.
"""

from benchmarks.simworld.presets import PRESETS, Physics, held_out
from benchmarks.simworld.world import Item, World, score

__all__ = ["PRESETS", "Item", "Physics", "World", "held_out", "score"]
