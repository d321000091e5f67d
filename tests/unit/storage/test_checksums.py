import hashlib

import pytest

from storage.errors import StorageError, StorageRefused, StorageUnavailable, not_deleted
from storage.s3_checksums import contradicts, md5

ONE, TWO = md5(b"one"), md5(b"two")
BOTH = hashlib.md5(ONE + TWO, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("etag", "digests", "expected"),
    [
        (ONE.hex(), [ONE], False),
        (TWO.hex(), [ONE], True),
        (f"{BOTH}-2", [ONE, TWO], False),
        (f"{BOTH}-2", [TWO, ONE], True),
        (f"{md5(ONE).hex()}-1", [ONE], False),
        (f"{BOTH}-3", [ONE, TWO], False),  # of other parts: nothing to compare
        (ONE.hex(), [ONE, TWO], False),
        ("no-digest", [ONE], False),
        (f"{BOTH}-x", [ONE, TWO], False),
        ("", [ONE], False),
    ],
)
def test_only_an_etag_of_the_same_parts_can_contradict_them(etag: str, digests: list[bytes], expected: bool) -> None:  # noqa: FBT001 - a column of the table
    assert contradicts(etag, digests) is expected


def test_one_error_stands_for_all_objects_that_stayed() -> None:
    errors: list[StorageError] = [StorageUnavailable(f"k{number}") for number in range(6)]
    merged = not_deleted([*errors, StorageRefused("secret", "AccessDenied")])
    assert (type(merged), list(merged.keys)) == (StorageRefused, [*(f"k{n}" for n in range(6)), "secret"])
    assert "7 objects stayed: k0, k1, k2, k3, k4 and 2 more" in str(merged)
    assert "AccessDenied" in str(merged)
    assert not_deleted(errors[:1]) is errors[0]
