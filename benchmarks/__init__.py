"""Benchmarks. Most are ratios of two measurements of the same run, which vary less than times on a noisy machine."""
