"""Sign-in by a provider: answers that are forged, old, mixed up, or another's."""

import base64
import hmac
import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from app.oidc import attempt
from app.store import Event, Role
from tests.api.oidc import (
    application,
    arrive,
    browser,
    path_of,
    refused,
    signed_in,
    there_and_back,
    why,
)
from tests.conftest import problem_of
from tests.oidc_provider import CLIENT, INTERNALS, KEY, OidcProvider, serving

COOKIE = "sfumato_provider"


@pytest.fixture
def provider():
    with serving(OidcProvider(person={"sub": "s-ann"})) as found:
        yield found


@pytest.fixture
def api(provider, sqlite_database, tmp_path):
    """Where Ann is linked, and would get in."""
    # All come from one address here.
    unlimited = {"failed_sign_ins_per_minute": 0}
    with application(provider, sqlite_database, tmp_path, **unlimited) as found:
        root = found.as_("root", Role.ADMIN)
        found.as_("ann", Role.ANNOTATOR)
        root.put("/accounts/ann/identity", json={"subject": "s-ann"})
        signed_in(found)
        yield found


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def unsigned(claims) -> str:
    return ".".join([*(encoded(json.dumps(p).encode()) for p in ({"alg": "none"}, claims)), ""])


def with_public_key(claims) -> str:
    """Signed with what everybody knows of the provider's key, as if it were a secret."""
    parts = ({"alg": "HS256", "kid": KEY.kid}, claims)
    text = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    return f"{text}.{encoded(hmac.digest(KEY.as_pem(private=False), text.encode(), 'sha256'))}"


def with_another_key(claims) -> str:
    other = RSAKey.generate_key(2048, {"kid": KEY.kid})
    return jwt.encode({"alg": "RS256", "kid": KEY.kid}, claims, other)


def with_its_own_key(claims) -> str:
    other = RSAKey.generate_key(2048, {"kid": "own"})
    header = {"alg": "RS256", "kid": "own", "jwk": other.as_dict(private=False)}
    return jwt.encode(header, claims, other)


@pytest.mark.parametrize("forged", [unsigned, with_public_key, with_another_key, with_its_own_key])
def test_a_token_that_the_provider_did_not_sign(api, provider, forged):
    provider.sign = forged
    assert refused(api) == "untrusted"


WRONG = {
    "another audience": {"aud": "another"},
    "several audiences, none of them said to be ours": {"aud": [CLIENT, "another"]},
    "several audiences, given to another": {"aud": [CLIENT, "another"], "azp": "another"},
    "no audience": {"aud": None},
    "another issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "another nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject that is no text": {"sub": 7},
    "a subject that is too long": {"sub": "s" * 256},
    "no end": {"exp": None},
    "an end that is no number": {"exp": "tomorrow"},
    "another access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
}


@pytest.mark.parametrize("which", WRONG)
def test_claims_that_are_wrong(api, provider, which):
    provider.claims = WRONG[which]
    assert refused(api) == "untrusted"


def test_clocks_may_differ_by_some_seconds_and_no_more(api, provider):
    now = int(time.time())
    for claims in ({"exp": now - 30}, {"iat": now + 30}, {"nbf": now + 30}):
        provider.claims = claims
        assert signed_in(api).get("/session").json()["account"] == "ann"
    for claims in ({"exp": now - 600}, {"iat": now + 600}, {"nbf": now + 600}):
        provider.claims = claims
        assert refused(api) == "untrusted"


def test_a_code_is_good_once(api):
    page = browser(api)
    back = path_of(there_and_back(page))
    kept = page.cookies[COOKIE]
    assert page.get(back).headers["location"] == "/"
    assert COOKIE not in page.cookies
    # Without its cookie the answer is nobody's; with it the provider does not know the code.
    assert why(page.get(back)) == "expired"
    thief = browser(api)
    thief.cookies[COOKIE] = kept
    assert why(thief.get(back)) == "untrusted"
    assert thief.get("/session").status_code == 401


def test_an_answer_belongs_to_the_browser_that_asked(api):
    """Else a page could sign somebody in as another, who then sees what they draw."""
    attacker, victim = browser(api), browser(api)
    forced = path_of(there_and_back(attacker))
    assert why(victim.get(forced)) == "expired"
    there_and_back(victim)
    assert why(victim.get(forced)) == "expired"
    # And what failed once has ended.
    assert COOKIE not in victim.cookies


def test_answers_of_two_attempts_cannot_be_mixed(api):
    page = browser(api)
    first, second = there_and_back(page), there_and_back(page)
    query = {name: values[0] for name, values in parse_qs(urlsplit(first).query).items()}
    assert why(page.get("/session/provider/callback", params=query)) == "expired"
    # The state of one with the code of the other: not its verifier, not its nonce.
    there = browser(api)
    own = parse_qs(urlsplit(there_and_back(there)).query)
    mixed = {"state": own["state"][0], "code": parse_qs(urlsplit(second).query)["code"][0]}
    assert why(there.get("/session/provider/callback", params=mixed)) == "untrusted"


def test_an_attempt_lasts_ten_minutes(api, monkeypatch):
    page = browser(api)
    back = path_of(there_and_back(page))
    later = time.time() + attempt.SECONDS + 1
    monkeypatch.setattr("app.api.provider_sessions.time.time", lambda: later)
    assert why(page.get(back)) == "expired"


@pytest.mark.parametrize("kept", ["", "nonsense", "a.b.c", "ä"])
def test_a_made_up_cookie_is_none(api, kept):
    page = browser(api)
    back = path_of(there_and_back(page))
    page.cookies.clear()
    headers = {"Cookie": f"{COOKIE}={kept}".encode()}
    assert why(page.get(back, headers=headers)) == "expired"


def test_a_cookie_that_was_signed_with_another_key_or_none(api, provider):
    page = browser(api)
    back = there_and_back(page)
    state = parse_qs(urlsplit(back).query)["state"][0]
    claims = {
        "issuer": provider.url,
        "state": state,
        "nonce": "n",
        "verifier": "v" * 43,
        "page": "https://evil.example",
        "exp": int(time.time()) + 60,
    }
    own = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(b"k" * 32))
    for forged in (own, unsigned(claims)):
        page.cookies.clear()
        headers = {"Cookie": f"{COOKIE}={forged}"}
        assert why(page.get(path_of(back), headers=headers)) == "expired"


def test_an_attempt_at_a_provider_that_was_changed_meanwhile(
    api, provider, sqlite_database, tmp_path
):
    page = browser(api)
    back = path_of(there_and_back(page))
    with (
        serving(OidcProvider()) as other,
        application(other, sqlite_database, tmp_path) as changed,
    ):
        later = browser(changed)
        later.cookies[COOKIE] = page.cookies[COOKIE]
        assert why(later.get(back)) == "expired"
        assert other.asked["/token"] == 0


def test_an_answer_that_names_another_issuer_or_none_where_it_must(api, provider):
    provider.answer = {"iss": "https://evil.example"}
    asked = provider.asked["/token"]
    assert refused(api) == "untrusted"
    assert provider.asked["/token"] == asked
    provider.answer = {"iss": provider.url}
    signed_in(api)


def test_an_answer_must_name_the_issuer_where_the_provider_says_so(
    provider, sqlite_database, tmp_path
):
    provider.said = {"authorization_response_iss_parameter_supported": True}
    with application(provider, sqlite_database, tmp_path, oidc_new_accounts=True) as found:
        assert refused(found) == "untrusted"


def test_what_the_provider_says_is_not_shown(api, provider):
    provider.answer = {"error": "access_denied", "error_description": INTERNALS, "code": ""}
    reply = arrive(browser(api))
    assert why(reply) == "declined"
    provider.answer = {"code": ""}
    assert refused(api) == "untrusted"
    provider.answer = {"code": "made-up"}
    reply = arrive(browser(api))
    assert why(reply) == "untrusted"
    assert INTERNALS not in str(reply.headers)


def test_a_provider_that_is_down_is_told_in_words(api, provider, sqlite_database, tmp_path):
    provider.faults = {"/token": 503}
    assert refused(api) == "away"
    provider.faults = {"/.well-known/openid-configuration": 500}
    with application(provider, sqlite_database, tmp_path) as found:
        for _ in range(3):
            gone = problem_of(browser(found).post("/session/provider", json={}))
            assert gone["status"] == 503
            assert "cannot be reached" in gone["detail"]
            assert provider.url not in gone["detail"]
    # One that has just failed is not asked again at once.
    assert provider.asked["/.well-known/openid-configuration"] == 2


@pytest.mark.parametrize(
    "said",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": None},
        {"authorization_endpoint": "http://evil.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_a_discovery_document_that_cannot_be_meant(provider, sqlite_database, tmp_path, said):
    provider.said = said
    with application(provider, sqlite_database, tmp_path) as found:
        assert browser(found).post("/session/provider", json={}).status_code == 503


def test_the_clients_secret_goes_over_tls_or_stays_here(provider, sqlite_database, tmp_path):
    provider.said = {"token_endpoint": "http://192.0.2.1/token"}
    with application(provider, sqlite_database, tmp_path) as found:
        assert refused(found) == "away"


def test_a_new_key_of_the_provider_is_fetched_and_what_it_says_is_kept(api, provider, monkeypatch):
    signed_in(api)
    assert provider.asked["/keys"] == provider.asked["/.well-known/openid-configuration"] == 1
    provider.key = RSAKey.generate_key(2048, {"kid": "second", "use": "sig"})
    provider.published = [provider.key]
    # Not at every token with an unknown key: anybody could send such.
    assert refused(api) == "untrusted"
    assert provider.asked["/keys"] == 1
    clock = api.client.app.state.provider._clock
    monkeypatch.setattr(api.client.app.state.provider, "_clock", lambda: clock() + 31)
    signed_in(api)
    assert provider.asked["/keys"] == 2


def test_failures_are_in_the_audit(api, provider):
    provider.person = {"sub": "s-other"}
    assert refused(api) == "unknown"
    assert why(browser(api).get("/session/provider/callback")) == "expired"
    api.client.app.state.seen.write(api.database)
    with api.database.reading() as session:
        noted = session.query(Event).filter_by(action="sign-in.refused").order_by(Event.id).all()
        assert noted[0].detail["there"] == "s-other"
        assert noted[0].detail["why"] == "unknown"
        assert noted[1].detail == {"count": 1, "by": "provider"}
        assert all(one.address for one in noted)


def test_cookies_keep_to_this_host_over_tls(api):
    page = browser(api)
    page.base_url = "https://testserver"
    begun = page.post("/session/provider", json={})
    set_ = begun.headers["set-cookie"]
    assert set_.startswith(f"__Host-{COOKIE}=")
    for word in ("HttpOnly", "Secure", "SameSite=lax", "Path=/", "Max-Age=600"):
        assert word in set_
    back = path_of(there_and_back(page))
    session = page.get(back).headers["set-cookie"]
    assert "sfumato_session=web_" in session
    assert "SameSite=strict" in session


def test_the_callback_is_where_the_settings_say(provider, sqlite_database, tmp_path):
    settings = {"public_url": "https://sfumato.example.org/"}
    with application(provider, sqlite_database, tmp_path, **settings) as found:
        page = browser(found)
        # Whatever a request says: who sent it may have written it.
        begun = page.post("/session/provider", json={}, headers={"Host": "evil.example"}).json()
        query = parse_qs(urlsplit(begun["address"]).query)
        assert query["redirect_uri"] == ["https://sfumato.example.org/session/provider/callback"]
        assert query["code_challenge_method"] == ["S256"]
        assert query["response_type"] == ["code"]
