"""Reinforcement-learning environments for infrastructure run under a DAO's rules."""

__version__ = "0.1.0"
