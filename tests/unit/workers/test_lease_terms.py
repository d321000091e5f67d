from configuration import Config, LeaseConfig, LivestreamConfig
from jobs.rules.steps import CPU_QUEUE, LIVE_QUEUE
from workers.lease.terms import lease_terms

CONFIG = Config(
    lease=LeaseConfig(lease_seconds=60, lease_renew_seconds=15), livestreams=LivestreamConfig(live_lease_seconds=6)
)


def test_live_streams_have_a_lease_of_their_own() -> None:
    assert (lease_terms(CPU_QUEUE, CONFIG).lease_seconds, lease_terms(CPU_QUEUE, CONFIG).renew_seconds) == (60, 15)
    assert (lease_terms(LIVE_QUEUE, CONFIG).lease_seconds, lease_terms(LIVE_QUEUE, CONFIG).renew_seconds) == (6, 1.5)


def test_a_renewal_may_fail_without_an_end_of_the_step() -> None:
    terms = lease_terms(LIVE_QUEUE, CONFIG)
    assert 2 * terms.renew_seconds < terms.lease_seconds * terms.stop_fraction
