"""The three notations of REDIS_URL, and what is said of others."""

import pytest

from nautilus.redis_url import BadRedisUrlError, Place, parse_redis_url


def test_one_server_is_itself():
    url = parse_redis_url("redis://:p@host:6380/3")
    assert (url.base, url.places, url.can_fail_over) == ("redis://:p@host:6380/3", (Place("host", 6380),), False)


def test_list_has_its_first_as_base_and_a_url_for_each():
    url = parse_redis_url("redis://:p@a:6379/1;redis://:p@b/1")
    assert url.can_fail_over
    assert [url.at(place) for place in url.places] == ["redis://:p@a:6379/1", "redis://:p@b:6379/1"]


def test_password_may_hold_a_semicolon():
    assert parse_redis_url("redis://:p;q@a:6379/0").places == (Place("a", 6379),)


def test_ipv6_is_written_with_brackets():
    url = parse_redis_url("redis://:p@[::1]:6379/0;redis://:p@[::2]:6379/0")
    assert url.at(url.places[1]) == "redis://:p@[::2]:6379/0"


def test_sentinels_know_the_service_and_have_a_password_of_their_own():
    url = parse_redis_url("rediss+sentinel://u:p@a:1,b/main/2?sentinel_password=x&ssl_cert_reqs=none")
    assert (url.places, url.service) == ((Place("a", 1), Place("b", 26379)), "main")
    assert (url.sentinel_username, url.sentinel_password) == (None, "x")
    assert url.at(Place("c", 7)) == "rediss://u:p@c:7/2?ssl_cert_reqs=none"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("http://a", "begins with 'http'; expected redis://"),
        ("nonsense", "expected redis://"),
        ("redis://:secret@a,b:6379/0", "expected one host, or a list as in redis://"),
        ("redis://:secret@a;b/0", "expected one host, or a list as in redis://"),
        ("redis://:secret@a:six/0", "expected host:port"),
        ("redis://:secret@a:6379/first", "the database 'first'; expected its number"),
        ("redis://:secret@a/0;redis://:secret@a:6379/0", "names a host twice: a:6379, a:6379"),
        ("redis://:secret@a/0;redis://:another@b/0", "gives b:6379 another scheme, user, password"),
        ("redis://:secret@a/0;redis://:secret@b/1", "gives b:6379 another scheme, user, password, number"),
        ("redis+sentinel://:secret@a:26379", "the path ''; expected /service/number"),
        ("redis+sentinel://:secret@a:26379/main/x", "the path '/main/x'; expected /service/number"),
    ],
)
def test_other_notations_are_refused_without_showing_a_password(value: str, said: str):
    with pytest.raises(BadRedisUrlError) as refused:
        parse_redis_url(value)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)
