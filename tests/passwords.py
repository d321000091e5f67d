"""Passwords of tests."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    """Hash at once what is otherwise slow on purpose, in the usual form, so that servers in tests can check it."""

    iterations = 1
