from fractions import Fraction

import pytest

from configuration import Config, ConfigurationError, load
from configuration.units import unit_of

KEY = {"TRANSCODER_SECRET_KEY": "k" * 50}
MIB = 1024 * 1024


def loaded(name: str, text: str) -> Config:
    return load(KEY | {f"TRANSCODER_{name}": text})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("300", 300),
        ("300s", 300),
        ("5m", 300),
        ("5m0s", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1.5h", 5400),
        ("2d", 172_800),
        ("90 S", 90),
        ("1500ms", 2),  # a whole number, rounded up
    ],
)
def test_a_duration_may_be_written_with_units(text: str, seconds: int) -> None:
    assert loaded("CACHE_TTL_SECONDS", text).cache.cache_ttl_seconds == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("10485760", 10 * MIB),
        ("10MiB", 10 * MIB),
        ("10 mib", 10 * MIB),
        ("10MB", 10_000_000),
        ("0.5GiB", 512 * MIB),
        ("6000KB", 6_000_000),
        ("7000000B", 7_000_000),
    ],
)
def test_a_size_may_be_written_with_units(text: str, count: int) -> None:
    assert loaded("UPLOAD_PART_BYTES", text).storage.upload_part_bytes == count


def test_a_fraction_of_a_second_is_kept_if_the_setting_takes_fractions() -> None:
    assert loaded("CACHE_TIMEOUT_SECONDS", "250ms").cache.cache_timeout_seconds == 0.25


def test_every_unit_is_converted_to_that_of_the_setting() -> None:
    assert loaded("EVENT_DAYS", "36h").events.event_days == 2
    assert loaded("GPU_MIN_FREE_MB", "1GiB").gpu.gpu_min_free_mb == 1024


@pytest.mark.parametrize(
    "text", ["5x", "m5", "5mm", "5 minutes", "-5m", "5m,", "1e3s", "5MiB", "m", "5m 3", "1.s", "٣m", "5m\n6m6"]
)
def test_an_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"CACHE_TTL_SECONDS must be a whole number or a duration such as"):
        loaded("CACHE_TTL_SECONDS", text)


def test_a_count_has_no_unit() -> None:
    with pytest.raises(ConfigurationError, match=r"WORKER_SLOTS must be a whole number, got '5m'"):
        loaded("WORKER_SLOTS", "5m")


def test_limits_hold_for_quantities_with_units() -> None:
    with pytest.raises(ConfigurationError, match=r"UPLOAD_PART_BYTES must be at least 5242880, got 5MB"):
        loaded("UPLOAD_PART_BYTES", "5MB")


def test_only_the_end_of_a_name_is_a_unit() -> None:
    assert unit_of("assumed_pixels_per_second") is None
    assert unit_of("max_streams") is None
    seconds = unit_of("lease_seconds")
    assert seconds
    assert seconds.parse("1ms") == Fraction(1, 1000)
