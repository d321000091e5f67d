"""Leasing of steps to workers: nodes, GPU slots, claims, leases, and fenced writes until a step is done."""
