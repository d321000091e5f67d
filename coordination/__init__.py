"""What Redis does besides carrying tickets: it makes answers cheaper and keeps clients to their rate.

Nothing here is needed for anything to be right: without Redis all of it is done without.
"""
