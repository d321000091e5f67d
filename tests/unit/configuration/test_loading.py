from pathlib import Path

import pytest

from configuration import Config, ConfigurationError, LeaseConfig, load, require_secret_key

KEY = {"TRANSCODER_SECRET_KEY": "k" * 50}


def problems(**environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(KEY | environ)
    return caught.value.problems


def test_an_empty_environment_with_a_key_gives_the_defaults() -> None:
    assert load(KEY).lease == LeaseConfig()


def test_variables_of_other_programs_are_ignored() -> None:
    assert load(KEY | {"PATH": "/bin", "TRANSCODE": "1"}).lease == LeaseConfig()


def test_values_arrive_in_their_declared_types() -> None:
    config = load(
        KEY
        | {
            "TRANSCODER_LEASE_SECONDS": "6",
            "TRANSCODER_LEASE_RENEW_SECONDS": "1.5",
            "TRANSCODER_HTTPS": "No",
            "TRANSCODER_ALLOWED_HOSTS": "a.example, b.example,",
        }
    )
    assert config.lease.lease_seconds == 6
    assert config.lease.lease_renew_seconds == 1.5
    assert config.site.https is False
    assert config.site.allowed_hosts == ("a.example", "b.example")


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(KEY | {"TRANSCODER_LEASE_SECONDS": ""}).lease.lease_seconds == 60


def test_all_mistakes_are_reported_together() -> None:
    found = problems(
        TRANSCODER_LEASE_SECONDS="soon",
        TRANSCODER_PRESIGN_SECONDS="1",
        TRANSCODER_STORAGE="tape",
        TRANSCODER_LEASE_SECOND="60",
    )
    assert found == [
        "TRANSCODER_LEASE_SECOND is not a setting; did you mean TRANSCODER_LEASE_SECONDS?",
        "TRANSCODER_STORAGE must be one of s3, local, got 'tape'",
        "TRANSCODER_PRESIGN_SECONDS must be at least 60, got 1",
        "TRANSCODER_LEASE_SECONDS must be a whole number or a duration such as 90s or 5m, got 'soon'",
    ]


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"TRANSCODER_NONSENSE": "1"}, "TRANSCODER_NONSENSE is not a setting"),
        ({"TRANSCODER_HTTPS": "maybe"}, "TRANSCODER_HTTPS must be true or false, got 'maybe'"),
        ({"TRANSCODER_LEASE_SECONDS": "1"}, "TRANSCODER_LEASE_SECONDS must be at least 2, got 1"),
        ({"TRANSCODER_LEASE_STOP_FRACTION": "nan"}, "TRANSCODER_LEASE_STOP_FRACTION must be at least 0.5, got nan"),
        ({"TRANSCODER_DEFAULT_PRIORITY": "101"}, "TRANSCODER_DEFAULT_PRIORITY must be at most 100, got 101"),
        (
            {"TRANSCODER_LEASE_SECONDS": "30"},
            "TRANSCODER_LEASE_RENEW_SECONDS must be at most a third of TRANSCODER_LEASE_SECONDS",
        ),
        (
            {"TRANSCODER_INGEST_SECRET": "fifteen-letters"},
            "TRANSCODER_INGEST_SECRET must have at least 16 characters",
        ),
        (
            {"TRANSCODER_INGEST_SECRET": "sixteen-letters;"},
            "TRANSCODER_INGEST_SECRET may have letters and digits, - and _ only",
        ),
        (
            {"TRANSCODER_STORAGE": "local"},
            "TRANSCODER_LOCAL_STORAGE_PATH is required when TRANSCODER_STORAGE is local",
        ),
        (
            {"TRANSCODER_S3_ACCESS_KEY": "a"},
            "TRANSCODER_S3_ACCESS_KEY and TRANSCODER_S3_SECRET_KEY must be set together",
        ),
        (
            {"TRANSCODER_DATABASE_URL": "sqlite:///x"},
            "TRANSCODER_DATABASE_URL must look like postgresql://user:password@host:port/name",
        ),
        ({"TRANSCODER_BROKER_URL": "amqp://x"}, "TRANSCODER_BROKER_URL must begin with redis:// or rediss://"),
        (
            {"TRANSCODER_PUBLIC_URL": "video.example"},
            "TRANSCODER_PUBLIC_URL must begin with http:// or https://, got 'video.example'",
        ),
        ({"TRANSCODER_PUBLIC_URL": "https://"}, "TRANSCODER_PUBLIC_URL must name a host and perhaps a port, got"),
        ({"TRANSCODER_PUBLIC_URL": "https://a@b.example"}, "TRANSCODER_PUBLIC_URL must name a host and perhaps a port"),
        ({"TRANSCODER_PUBLIC_URL": "https://b.example/?x"}, "TRANSCODER_PUBLIC_URL must end after a path of letters"),
        ({"TRANSCODER_PUBLIC_URL": "https://b.example/a b"}, "TRANSCODER_PUBLIC_URL must end after a path of letters"),
        (
            {"TRANSCODER_PUBLIC_URL": "https://b.example/api/x"},
            "TRANSCODER_PUBLIC_URL must not have a path that begins",
        ),
        ({"TRANSCODER_TRUSTED_PROXIES": "10.0.0.0/8,proxy"}, "TRANSCODER_TRUSTED_PROXIES: 'proxy' does not appear"),
        ({"TRANSCODER_TRUSTED_PROXIES": "*"}, "TRANSCODER_TRUSTED_PROXIES: '*' does not appear to be"),
        ({"TRANSCODER_CORS_ORIGINS": "https://a.example/"}, "TRANSCODER_CORS_ORIGINS must be origins such as"),
        (
            {"TRANSCODER_TRUST_FORWARDED_PROTO": "true"},
            "TRANSCODER_TRUST_FORWARDED_PROTO is not a setting any more: name the proxies in",
        ),
        (
            {"TRANSCODER_S3_BUCKET_FILE": "/x"},
            "TRANSCODER_S3_BUCKET_FILE is not a setting; only secrets are read from files, and",
        ),
    ],
)
def test_a_mistake_is_named(environ: dict[str, str], problem: str) -> None:
    (found,) = problems(**environ)
    assert found.startswith(problem)


def test_a_missing_secret_key_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"TRANSCODER_SECRET_KEY .* at least 50 characters, got 0"):
        require_secret_key(load({}))
    require_secret_key(load(KEY))


def test_a_short_secret_key_stops_every_start() -> None:
    with pytest.raises(ConfigurationError, match=r"at least 50 characters, got 9"):
        load({"TRANSCODER_SECRET_KEY": "too short"})


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("f" * 50 + "\n")
    assert load({"TRANSCODER_SECRET_KEY_FILE": str(path)}).site.secret_key == "f" * 50


def test_a_secret_given_twice_is_a_mistake(tmp_path: Path) -> None:
    assert problems(TRANSCODER_SECRET_KEY_FILE="/x") == [
        "set either TRANSCODER_SECRET_KEY or TRANSCODER_SECRET_KEY_FILE, not both"
    ]


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (found,) = problems(TRANSCODER_S3_SECRET_KEY_FILE=str(tmp_path / "none"))
    assert found.startswith("TRANSCODER_S3_SECRET_KEY_FILE: cannot read ")


def test_secrets_do_not_show_in_logs() -> None:
    config = load(
        KEY
        | {
            "TRANSCODER_DATABASE_URL": "postgresql://a:hunter2@h/x",
            "TRANSCODER_S3_ACCESS_KEY": "hunter3",
            "TRANSCODER_S3_SECRET_KEY": "hunter4",
        }
    )
    assert "hunter" not in repr(config)
    assert "kkkk" not in repr(config)


def test_a_config_is_built_from_values() -> None:
    assert Config(lease=LeaseConfig(lease_seconds=6, lease_renew_seconds=1.5)).lease.lease_seconds == 6


def test_an_upload_must_fit_into_the_parts_that_a_store_takes() -> None:
    with pytest.raises(ConfigurationError, match=r"TRANSCODER_MAX_UPLOAD_BYTES.*must be at most"):
        load(KEY | {"TRANSCODER_MAX_UPLOAD_BYTES": str(10**14)})


@pytest.mark.parametrize(
    ("url", "origin", "host", "prefix"),
    [
        ("", "", "", ""),
        ("https://Video.example/", "https://video.example", "video.example", ""),
        ("http://video.example:8080/vod/", "http://video.example:8080", "video.example", "/vod"),
        ("https://[2001:db8::1]/a/b", "https://[2001:db8::1]", "[2001:db8::1]", "/a/b"),
    ],
)
def test_a_public_url_has_an_origin_a_host_and_a_prefix(url: str, origin: str, host: str, prefix: str) -> None:
    site = load(KEY | {"TRANSCODER_PUBLIC_URL": url}).site
    assert (site.public_origin, site.public_host, site.url_prefix) == (origin, host, prefix)


HTTP_STORE = {"TRANSCODER_S3_ENDPOINT_URL": "http://minio:9000"}


@pytest.mark.parametrize("pages", [{}, {"TRANSCODER_HTTPS": "false", "TRANSCODER_PUBLIC_URL": "https://video.example"}])
def test_https_pages_do_not_redirect_to_an_http_store(pages: dict[str, str]) -> None:
    (found,) = problems(**HTTP_STORE, **pages)
    assert found.startswith("browsers load nothing from http://minio:9000")


PUBLIC_BASE = {"TRANSCODER_PLAYBACK_PUBLIC_BASE": "http://cdn.example/media"}


@pytest.mark.parametrize(
    "storage", [{}, {"TRANSCODER_STORAGE": "local", "TRANSCODER_LOCAL_STORAGE_PATH": "/srv/media"}]
)
def test_https_pages_do_not_redirect_to_an_http_cdn(storage: dict[str, str]) -> None:
    (found,) = problems(**PUBLIC_BASE, **storage)
    assert found.startswith("browsers load nothing from http://cdn.example/media")
    assert "TRANSCODER_PLAYBACK_PUBLIC_BASE to an https URL" in found
    assert load(KEY | HTTP_STORE | {"TRANSCODER_PLAYBACK_PUBLIC_BASE": "https://cdn.example/media"})


@pytest.mark.parametrize(
    "base", ["cdn.example", "ftp://cdn.example", "https://cdn.example/?a=b", "https://u@cdn.example"]
)
def test_a_public_base_is_the_beginning_of_urls(base: str) -> None:
    (found,) = problems(TRANSCODER_PLAYBACK_PUBLIC_BASE=base)
    assert found.startswith("TRANSCODER_PLAYBACK_PUBLIC_BASE must ")


def test_a_public_base_that_is_never_used_is_refused() -> None:
    settings = {"TRANSCODER_PLAYBACK_PUBLIC_BASE": "https://cdn.example", "TRANSCODER_PLAYBACK_DELIVERY": "proxy"}
    assert [found for found in problems(**settings) if "is of no use" in found]


def test_players_have_origins_and_not_urls() -> None:
    (found,) = problems(TRANSCODER_PLAYBACK_ORIGINS="https://app.example,https://app.example/")
    assert found.startswith("TRANSCODER_PLAYBACK_ORIGINS must be origins")


@pytest.mark.parametrize(
    "way_out",
    [
        {"TRANSCODER_PLAYBACK_DELIVERY": "proxy"},
        {"TRANSCODER_S3_PUBLIC_ENDPOINT_URL": "https://media.example"},
        {"TRANSCODER_HTTPS": "false"},
        {"TRANSCODER_PUBLIC_URL": "http://video.example"},
        {"TRANSCODER_S3_ENDPOINT_URL": "http://127.0.0.1:9000"},
        {"TRANSCODER_S3_ENDPOINT_URL": ""},
        {"TRANSCODER_STORAGE": "local", "TRANSCODER_LOCAL_STORAGE_PATH": "/srv/media"},
    ],
)
def test_each_way_out_of_mixed_content_is_one(way_out: dict[str, str]) -> None:
    assert load(KEY | HTTP_STORE | way_out)
