from __future__ import annotations

import json

import pytest

from configuration import BucketConfig, Config, StorageConfig, buckets_read

FILMS = {"bucket": "customer", "access_key": "k", "secret_key": "s3cret"}


def test_a_bucket_has_defaults_and_hides_its_keys() -> None:
    films = buckets_read(json.dumps({"films": {**FILMS, "prefix": "a/b", "import": True, "owners": ["ann"]}}))["films"]
    assert (films.prefix, films.region, films.imports, films.destination) == ("a/b/", "us-east-1", True, False)
    assert (films.allows("ann", "1"), films.allows("bob", "2")) == (True, False)
    assert "s3cret" not in repr(films)
    assert "s3cret" not in repr(BucketConfig(buckets=json.dumps({"films": FILMS})))
    assert buckets_read("") == {}
    assert buckets_read(json.dumps({"films": FILMS}))["films"].allows("anybody")


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("{", "it is not JSON"),
        ("[]", "a JSON object with an alias for each bucket"),
        ({"Films": FILMS}, "an alias must be lower-case letters"),
        ({"films": 1}, "films must be a JSON object"),
        ({"films": {**FILMS, "secret": "s3cret"}}, "films has no secret; known are bucket"),
        ({"films": {**FILMS, "imports": True}}, "films has no imports"),
        ({"films": {"bucket": "b", "access_key": "k"}}, "films needs secret_key"),
        ({"films": {**FILMS, "import": "yes"}}, "import of films must be true or false"),
        ({"films": {**FILMS, "owners": "ann"}}, "owners of films must be a list of strings"),
        ({"films": {**FILMS, "region": 1}}, "region of films must be a string"),
        ({"films": {**FILMS, "endpoint_url": "s3.example"}}, "endpoint_url of films must begin with"),
        ({"films": {**FILMS, "prefix": "a/../b"}}, "prefix of films must be names"),
        ({"films": {**FILMS, "prefix": "/a"}}, "prefix of films must be names"),
    ],
)
def test_mistakes_are_named_without_the_keys(setting: object, problem: str) -> None:
    text = setting if isinstance(setting, str) else json.dumps(setting)
    (found,) = BucketConfig(buckets=text).problems()
    assert found.startswith("TRANSCODER_BUCKETS: ")
    assert problem in found
    assert "s3cret" not in found


@pytest.mark.parametrize(
    ("alias", "refused"),
    [
        ({"bucket": "vodmill"}, True),
        ({"bucket": "vodmill", "prefix": "videos/a"}, True),
        ({"bucket": "vodmill", "prefix": "customers/ann"}, False),
        ({"bucket": "vodmill", "endpoint_url": "https://s3.example.org"}, False),
        ({}, False),
    ],
)
def test_no_alias_leads_to_the_videos_of_all_owners(alias: dict[str, str], *, refused: bool) -> None:
    buckets = BucketConfig(buckets=json.dumps({"films": {**FILMS, **alias, "import": True}}))
    found = list(Config(storage=StorageConfig(s3_bucket="vodmill"), buckets=buckets).problems())
    assert [problem.startswith("TRANSCODER_BUCKETS: films") for problem in found] == [True] * refused
