"""The hooks that ingest servers call: adapters turn each server's request into one event, and one application answers.

It listens on an address of its own, which must not be reachable from outside, and answers nobody without the secret.
"""
