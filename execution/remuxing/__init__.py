"""Remuxing of live streams by PyAV, in jailed processes of our own program that hold many streams each."""
