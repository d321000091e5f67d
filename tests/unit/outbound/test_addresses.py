from __future__ import annotations

import socket
import threading
import time
from ipaddress import ip_address
from queue import Queue
from typing import Any

import pytest

from outbound.addresses import AddressRefused, Reach, is_public, networks_read
from outbound.errors import REFUSED
from outbound.lookups import Lookups

OURS = [
    "127.0.0.1", "127.1.2.3", "0.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.0.8", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1",
    "::ffff:7f00:1", "::ffff:169.254.169.254", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:db8::1",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe", "fec0::1", "feff::1", "::ffff:0:7f00:1", "3fff::1", "192.88.99.1",
]  # fmt: skip


@pytest.mark.parametrize("address", OURS)
def test_inner_addresses_are_not_public_in_any_disguise(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_the_open_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


def _later(seconds: float = 60) -> float:
    return time.monotonic() + seconds


def _lookups(*addresses: str) -> Lookups:
    """Every name stands for these; for none, no name exists."""

    def getaddrinfo(_host: str, port: int, **_: object) -> list[Any]:
        if not addresses:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return Lookups(getaddrinfo=getaddrinfo)


def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    reach = Reach(lookups=_lookups("1.1.1.1", "127.0.0.1"))
    with pytest.raises(AddressRefused, match=REFUSED):
        reach.addresses("mixed.example", 443, plain=False, ends_at=_later())


def test_plain_http_is_for_named_networks_only() -> None:
    def reach(address: str, *, plain: bool) -> list[Any]:
        reach = Reach(networks_read(["10.1.0.0/16"]), _lookups(address))
        return list(reach.addresses("name.example", 443, plain=plain, ends_at=_later()))

    assert reach("1.1.1.1", plain=False)
    with pytest.raises(AddressRefused):
        reach("1.1.1.1", plain=True)
    assert reach("10.1.2.3", plain=True)
    with pytest.raises(AddressRefused):
        reach("10.2.2.3", plain=False)


def test_plain_http_can_be_allowed_to_the_public_internet() -> None:
    assert Reach().schemes == ("https",)
    assert Reach(plain=True).schemes == ("https", "http")
    public, inner = _lookups("1.1.1.1"), _lookups("10.1.2.3")
    assert Reach(lookups=public, plain=True).addresses("name.example", 80, plain=True, ends_at=_later())
    with pytest.raises(AddressRefused):
        Reach(lookups=inner, plain=True).addresses("name.example", 80, plain=True, ends_at=_later())


def test_the_wait_for_a_name_can_be_ended() -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    over = threading.Event()
    lookups = Lookups(getaddrinfo=lambda *_, **__: [over.wait(60)])
    with pytest.raises(Stop):
        lookups.find("slow.example", 443, _later(), on_wait=stop)
    over.set()


def test_a_name_that_does_not_exist_is_refused_in_the_same_words() -> None:
    with pytest.raises(AddressRefused, match=REFUSED):
        Reach(lookups=_lookups()).addresses("nowhere.example", 443, plain=False, ends_at=_later())


def test_a_lookup_that_hangs_is_left_behind_and_only_so_many_are() -> None:
    started: Queue[str] = Queue()
    over = threading.Event()

    def hang(host: str, _port: int, **_: object) -> list[Any]:
        started.put(host)
        over.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))]

    lookups = Lookups(2, getaddrinfo=hang)
    for number in range(4):
        with pytest.raises(TimeoutError):
            lookups.find(f"{number}.example", 443, _later(0.05))
    assert {started.get(timeout=60), started.get(timeout=60)} == {"0.example", "1.example"}
    over.set()
    assert lookups.find("late.example", 443, _later()) == ["1.1.1.1"]
    assert started.get(timeout=60) == "late.example", "those for which there was no slot were never started"


def test_a_party_whose_name_servers_are_silent_holds_up_nobody_else() -> None:
    over = threading.Event()

    def getaddrinfo(host: str, _port: int, **_: object) -> list[Any]:
        if host.endswith("silent.example"):
            over.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))]

    lookups = Lookups(4, party_limit=2, getaddrinfo=getaddrinfo)
    attacker, victim = Reach(lookups=lookups).of("attacker"), Reach(lookups=lookups).of("victim")
    for number in range(6):
        with pytest.raises(TimeoutError):
            attacker.addresses(f"{number}.silent.example", 443, plain=False, ends_at=_later(0.02))
    assert victim.addresses("good.example", 443, plain=False, ends_at=_later())
    with pytest.raises(TimeoutError):
        attacker.addresses("good.example", 443, plain=False, ends_at=_later(0.02))
    over.set()
    assert attacker.addresses("good.example", 443, plain=False, ends_at=_later())


def test_parties_whose_name_servers_are_silent_leave_some_to_the_next() -> None:
    over = threading.Event()

    def getaddrinfo(host: str, _port: int, **_: object) -> list[Any]:
        if host == "silent.example":
            over.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 443))]

    lookups = Lookups(64, getaddrinfo=getaddrinfo)
    for number in range(20 * 8):
        with pytest.raises(TimeoutError):
            lookups.find("silent.example", 443, _later(0), party=str(number // 8))
    assert lookups.find("good.example", 443, _later(), party="next") == ["1.1.1.1"]
    over.set()


def test_the_wait_for_a_slot_can_be_ended() -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    over = threading.Event()
    lookups = Lookups(1, getaddrinfo=lambda *_, **__: [over.wait(60)])
    with pytest.raises(TimeoutError):
        lookups.find("slow.example", 443, _later(0.02))
    with pytest.raises(Stop):
        lookups.find("other.example", 443, _later(), on_wait=stop)
    over.set()
