"""Explanation of a plan: its choices with their reasons, its commands, and the expected time."""
