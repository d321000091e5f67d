import hashlib

import pytest

from access.keys import key_digest, key_generate, key_prefix
from access.scopes import Scope, allows


def test_a_key_has_256_secret_bits_and_a_prefix() -> None:
    key = key_generate()
    start, prefix, secret = key.text.split("_")
    assert (start, prefix) == ("vm", key.prefix)
    assert len(bytes.fromhex(secret)) == 32
    assert key_prefix(key.text) == key.prefix
    assert key.digest == key_digest(key.text) == hashlib.sha256(key.text.encode()).hexdigest()


def test_keys_are_unique_and_the_next_secret_keeps_the_prefix() -> None:
    first, other = key_generate(), key_generate()
    assert first.prefix != other.prefix
    following = key_generate(first.prefix)
    assert following.prefix == first.prefix
    assert following.text != first.text


@pytest.mark.parametrize(
    "text",
    ["", "vm_", "vm_123456789abc_", f"vm_123456789abc_{'0' * 63}", f"VM_123456789abc_{'0' * 64}", "x" * 100_000,
     f"vm_123456789abc_{'0' * 64}\n", f"vm_123456789abc_{'٣' * 64}", f"sk_123456789abc_{'0' * 64}", "\0"],
)  # fmt: skip
def test_other_text_has_no_prefix(text: str) -> None:
    assert key_prefix(text) is None


def test_a_scope_includes_no_other_and_admin_includes_all() -> None:
    for scope in Scope:
        assert allows(frozenset({scope}), scope)
        assert allows(frozenset({"admin"}), scope)
    assert not allows(frozenset({"jobs:write"}), Scope.JOBS_READ)
    assert not allows(frozenset({"jobs:read", "unknown"}), Scope.ADMIN)
    assert not allows(frozenset(), Scope.VIDEOS_READ)
