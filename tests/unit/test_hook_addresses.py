"""Where webhooks may go."""

from ipaddress import ip_address

import pytest
from pydantic import ValidationError

from app.core.errors import InvalidInput
from app.core.hook_addresses import check_url, checked_address, networks
from app.core.hook_signature import signature
from app.settings import Settings


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.7",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::ffff:10.0.0.7",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:1::1",
        "fe80::1",
        "fec0::1",
        "fd00::1",
        "ff02::1",
    ],
)
def test_what_is_not_public_is_refused_and_may_be_allowed(address):
    one = ip_address(address)
    with pytest.raises(InvalidInput, match="no public address"):
        checked_address(one, "https", networks("198.51.100.0/24"))
    meant = getattr(one, "ipv4_mapped", None) or one
    for scheme in ("http", "https"):
        assert checked_address(one, scheme, networks(f"198.51.100.0/24, {meant}")) == meant


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
def test_public_addresses_take_https_alone(address):
    assert str(checked_address(ip_address(address), "https", ())) == address
    with pytest.raises(InvalidInput, match="use https"):
        checked_address(ip_address(address), "http", ())


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://127.0.0.1/", "no public address"),
        ("https://[::1]:8/", "no public address"),
        ("https://localhost/", "no public address"),
        ("https://a.localhost./", "no public address"),
        ("http://8.8.8.8/", "use https"),
        ("https://ann:secret@ci.example/", "user or password"),
        ("https://ci.example/#part", "never sent"),
    ],
)
def test_a_url_that_shows_that_it_cannot_be(url, words):
    with pytest.raises(InvalidInput, match=words):
        check_url(url, ())


def test_a_name_is_looked_at_when_it_is_asked_for():
    check_url("https://ci.example:8443/sfumato?of=1", ())


def test_networks_that_are_none_are_refused_with_the_settings():
    assert Settings(hook_networks="10.1.0.0/16 ::1").allowed_networks == networks("10.1.0.0/16,::1")
    with pytest.raises(ValidationError, match=r"10\.1\.0\.1/16"):
        Settings(hook_networks="10.1.0.1/16")


def test_the_signature_is_that_of_another_implementation():
    # printf '1700000000.{"a": 1}' | openssl dgst -sha256 -hmac secret
    expected = "942c6f7e34ef5c448cbbbf79276da392036d59f0bd9fb74ba14eb8e83e2bb6cd"
    assert signature("secret", "1700000000", b'{"a": 1}') == f"v1={expected}"
