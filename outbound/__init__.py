"""Requests to servers of other people: webhooks, and files that are imported.

Names are looked up once, every address is checked, and the connection goes to the checked address, so a name that
changes its mind between the check and the connection gains nothing.
"""
