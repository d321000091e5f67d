from collections.abc import Mapping
from typing import Any

import pytest

from configuration import Config, ConfigurationError, load, startup_warnings
from configuration.loading import all_settings, config_sections
from configuration.other_names import OTHER_NAMES, WITHOUT_EFFECT, overridden

KEY = {"TRANSCODER_SECRET_KEY": "k" * 50}


def loaded(**given: str) -> Config:
    return load(KEY | {f"TRANSCODER_{name}": text for name, text in given.items()})


def problems(**given: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        loaded(**given)
    return caught.value.problems


def settings(config: Config) -> Mapping[str, Any]:
    sections = [getattr(config, name) for name in config_sections()]
    return {
        setting.name: getattr(section, setting.name) for section in sections for setting in all_settings_of(section)
    }


def all_settings_of(section: object) -> list[Any]:
    return [setting for setting in all_settings() if hasattr(section, setting.name)]


@pytest.mark.parametrize(
    ("name", "text", "setting", "value"),
    [
        ("ENABLEGPU", "false", "enable_gpu", False),
        ("GPUDEVICEINDEX", "0", "gpu_device_index", 0),
        ("ENABLECACHE", "false", "enable_cache", False),
        ("CACHETTL", "10m", "cache_ttl_seconds", 600),
        ("PARALLELUPLOAD", "false", "parallel_parts", 1),
        ("UPLOADPARTSIZE", "10485761", "upload_part_bytes", 10_485_761),
        ("UPLOADPARTSIZE", "16MiB", "upload_part_bytes", 16_777_216),
        ("MAXCONCURRENTPARTS", "12", "parallel_parts", 12),
        ("WORKERCOUNT", "3", "worker_slots", 3),
        ("MAXCONCURRENT", "4", "worker_slots", 4),
        ("TEMPDIR", "/tmp/transcode", "scratch_path", "/tmp/transcode"),  # noqa: S108 - their document's own
        ("FFMPEGPATH", "ffmpeg", "ffmpeg_path", "ffmpeg"),
        ("FFPROBEPATH", "/opt/ffprobe", "ffprobe_path", "/opt/ffprobe"),
        ("ENABLETWOPASS", "true", "two_pass", True),
    ],
)
def test_another_name_sets_the_setting_and_nothing_else(name: str, text: str, setting: str, value: object) -> None:
    defaults = settings(loaded())
    assert defaults[setting] != value
    assert settings(loaded(**{name: text})) == {**defaults, setting: value}


def test_the_complete_configuration_of_the_phase_4_pipeline_is_accepted() -> None:
    config = loaded(
        WORKERCOUNT="2",
        TEMPDIR="/tmp/transcode",  # noqa: S108 - their document's own
        FFMPEGPATH="ffmpeg",
        FFPROBEPATH="ffprobe",
        MAXCONCURRENT="4",
        CHUNKSIZE="5242880",
        ENABLEGPU="true",
        GPUDEVICEINDEX="-1",
        ENABLETWOPASS="false",
        ENABLECACHE="true",
        CACHETTL="5m",
        PARALLELUPLOAD="true",
        UPLOADPARTSIZE="10485760",
        MAXCONCURRENTPARTS="10",
    )
    assert (config.worker.worker_slots, config.storage.parallel_parts, config.cache.cache_ttl_seconds) == (2, 10, 300)


def test_of_two_limits_under_other_names_the_smaller_counts() -> None:
    assert loaded(WORKERCOUNT="8", MAXCONCURRENT="2").worker.worker_slots == 2
    assert loaded(PARALLELUPLOAD="false", MAXCONCURRENTPARTS="10").storage.parallel_parts == 1


def test_both_names_may_have_the_same_value() -> None:
    assert loaded(CACHETTL="5m", CACHE_TTL_SECONDS="300").cache.cache_ttl_seconds == 300
    assert loaded(PARALLELUPLOAD="true", PARALLEL_PARTS="8").storage.parallel_parts == 8


def test_two_names_that_differ_stop_the_start_and_are_both_named() -> None:
    (found,) = problems(CACHETTL="5m", CACHE_TTL_SECONDS="60")
    assert found.startswith("TRANSCODER_CACHETTL is another name of TRANSCODER_CACHE_TTL_SECONDS, and they differ: ")
    (found,) = problems(PARALLELUPLOAD="no", PARALLEL_PARTS="8")
    assert found.endswith(" TRANSCODER_PARALLEL_PARTS, and they differ: 'no' and '8'; keep one of them")


def test_a_mistake_names_the_variable_that_was_set() -> None:
    assert problems(CACHETTL="soon", PARALLELUPLOAD="2") == [
        "TRANSCODER_PARALLELUPLOAD must be true or false, got '2'",
        "TRANSCODER_CACHETTL must be a whole number or a duration such as 90s or 5m, got 'soon'",
    ]


def test_a_variable_without_effect_is_accepted_with_a_warning() -> None:
    assert settings(loaded(CHUNKSIZE="5MiB")) == settings(loaded())
    (warning,) = startup_warnings({"TRANSCODER_CHUNKSIZE": "5MiB"})
    assert warning.startswith("TRANSCODER_CHUNKSIZE has no effect: ")
    assert list(startup_warnings({"TRANSCODER_CHUNKSIZE": "", "TRANSCODER_CACHETTL": "5m"})) == []


def test_other_names_stand_for_settings_and_are_none_themselves() -> None:
    names = {setting.name for setting in all_settings()}
    variables = {setting.variable for setting in all_settings()}
    assert {other.setting for other in OTHER_NAMES} <= names
    assert not variables & {*WITHOUT_EFFECT, *(other.variable for other in OTHER_NAMES)}


def test_who_sets_a_variable_for_others_replaces_its_other_names() -> None:
    environ = {"TRANSCODER_TEMPDIR": "/a", "TRANSCODER_CACHETTL": "5m", "PATH": "/bin"}
    ours = {"TRANSCODER_SCRATCH_PATH": "/b"}
    assert overridden(environ, ours) == {"TRANSCODER_CACHETTL": "5m", "PATH": "/bin", **ours}
    assert load(KEY | overridden(environ, ours)).execution.scratch_path == "/b"


@pytest.mark.parametrize("name", ["TEMPFOLDER", "QUEUE_SECONDS", "QUEUE_HOST", "PORT", "WORKER", "REDIS_URL", "X"])
def test_a_name_without_a_similar_setting_gets_no_hint(name: str) -> None:
    assert problems(**{name: "1"}) == [f"TRANSCODER_{name} is not a setting"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SECRETKEY", "SECRET_KEY"),
        ("LEASE_SECOND", "LEASE_SECONDS"),
        ("S3_ENDPOINT", "S3_ENDPOINT_URL"),
        ("FFMEPG_PATH", "FFMPEG_PATH"),
        ("WORKER_SLOT", "WORKER_SLOTS"),
    ],
)
def test_a_name_similar_to_a_setting_gets_a_hint(name: str, meant: str) -> None:
    assert problems(**{name: "1"}) == [f"TRANSCODER_{name} is not a setting; did you mean TRANSCODER_{meant}?"]
