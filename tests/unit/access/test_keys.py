import hashlib

import pytest

from access.keys import key_digest, key_make, key_prefix
from access.scopes import Scope, allows


def test_a_key_has_256_secret_bits_and_a_prefix_that_finds_it() -> None:
    made = key_make()
    start, prefix, secret = made.text.split("_")
    assert (start, prefix) == ("vm", made.prefix)
    assert len(bytes.fromhex(secret)) == 32
    assert key_prefix(made.text) == made.prefix
    assert made.digest == key_digest(made.text) == hashlib.sha256(made.text.encode()).hexdigest()


def test_no_two_keys_are_the_same_and_the_next_secret_keeps_the_prefix() -> None:
    first, other = key_make(), key_make()
    assert first.prefix != other.prefix
    following = key_make(first.prefix)
    assert following.prefix == first.prefix
    assert following.text != first.text


@pytest.mark.parametrize(
    "text",
    ["", "vm_", "vm_123456789abc_", f"vm_123456789abc_{'0' * 63}", f"VM_123456789abc_{'0' * 64}", "x" * 100_000,
     f"vm_123456789abc_{'0' * 64}\n", f"vm_123456789abc_{'٣' * 64}", f"sk_123456789abc_{'0' * 64}", "\0"],
)  # fmt: skip
def test_what_does_not_look_like_a_key_is_not_looked_for(text: str) -> None:
    assert key_prefix(text) is None


def test_a_scope_is_what_it_says_and_admin_is_all_of_them() -> None:
    for scope in Scope:
        assert allows(frozenset({scope}), scope)
        assert allows(frozenset({"admin"}), scope)
    assert not allows(frozenset({"jobs:write"}), Scope.JOBS_READ)
    assert not allows(frozenset({"jobs:read", "unknown"}), Scope.ADMIN)
    assert not allows(frozenset(), Scope.VIDEOS_READ)
