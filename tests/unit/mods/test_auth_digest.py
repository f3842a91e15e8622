"""Digest computation against the examples of the RFCs."""

import hmac

import pytest

from openserd.mods.auth.digest import ALGORITHMS, AUTH_INT, MD5, Algorithm, calc_ha1, calc_ha2, calc_response, is_equal

SHA_256 = ALGORITHMS[b"sha-256"]
SHA_512_256 = ALGORITHMS[b"sha-512-256"]
NONCE_2617 = b"dcd98b7102dd2f0e8b11d0f600bfb0c093"
NONCE_7616 = b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE_7616 = b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


def test_ha1_of_rfc_2617() -> None:
    assert calc_ha1(b"Mufasa", b"testrealm@host.com", b"Circle Of Life") == b"939e7578ed9e3c518a452acee763bce9"


def test_response_of_rfc_2617_section_3_5() -> None:
    ha1 = calc_ha1(b"Mufasa", b"testrealm@host.com", b"Circle Of Life")
    ha2 = calc_ha2(b"GET", b"/dir/index.html")
    assert ha2 == b"39aff3a2bab6126f332b942af96d3366"
    response = calc_response(ha1, ha2, NONCE_2617, qop=b"auth", nc=b"00000001", cnonce=b"0a4f113b")
    assert response == b"6629fae49393a05397450978507c4ef1"


def test_response_without_qop_of_rfc_2069() -> None:
    # The example as corrected by erratum 749
    ha1 = calc_ha1(b"Mufasa", b"testrealm@host.com", b"CircleOfLife")
    response = calc_response(ha1, calc_ha2(b"GET", b"/dir/index.html"), NONCE_2617)
    assert response == b"1949323746fe6a43ef61f9606e7febea"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        (MD5, b"8ca523f5e9506fed4657c9700eebdbec"),
        (SHA_256, b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_response_of_rfc_7616_section_3_9_1(algorithm: Algorithm, expected: bytes) -> None:
    ha1 = calc_ha1(b"Mufasa", b"http-auth@example.org", b"Circle of Life", algorithm)
    ha2 = calc_ha2(b"GET", b"/dir/index.html", algorithm)
    fields = {"qop": b"auth", "nc": b"00000001", "cnonce": CNONCE_7616}
    assert calc_response(ha1, ha2, NONCE_7616, algorithm=algorithm, **fields) == expected


def test_response_of_rfc_7616_section_3_9_2() -> None:
    # As corrected by erratum 4897: the printed one was not computed with SHA-512/256
    ha1 = calc_ha1("Jäsøn Doe".encode(), b"api@example.org", b"Secret, or not?", SHA_512_256)
    ha2 = calc_ha2(b"GET", b"/doe.json", SHA_512_256)
    fields = {"qop": b"auth", "nc": b"00000001", "cnonce": b"NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"}
    response = calc_response(ha1, ha2, b"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", algorithm=SHA_512_256, **fields)
    assert response == b"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"


def test_sha_512_256_is_not_cut_off_sha_512() -> None:
    # FIPS 180-4, example for "abc"
    assert SHA_512_256.hash(b"abc") == b"53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"


def test_session_algorithm_mixes_nonce_and_cnonce_into_ha1() -> None:
    ha1 = calc_ha1(b"Mufasa", b"testrealm@host.com", b"Circle Of Life")
    ha2 = calc_ha2(b"GET", b"/dir/index.html")
    session_ha1 = MD5.hash(b"%b:%b:0a4f113b" % (ha1, NONCE_2617))
    fields = {"qop": b"auth", "nc": b"00000001", "cnonce": b"0a4f113b"}
    expected = calc_response(session_ha1, ha2, NONCE_2617, **fields)
    assert calc_response(ha1, ha2, NONCE_2617, algorithm=ALGORITHMS[b"md5-sess"], **fields) == expected


def test_auth_int_covers_the_body() -> None:
    assert calc_ha2(b"INVITE", b"sip:b@x", MD5, b"") == MD5.hash(b"INVITE:sip:b@x:d41d8cd98f00b204e9800998ecf8427e")
    assert calc_ha2(b"INVITE", b"sip:b@x", MD5, b"v=0") != calc_ha2(b"INVITE", b"sip:b@x", MD5, b"v=1")
    assert AUTH_INT == b"auth-int"


def test_comparison_is_that_of_hmac() -> None:
    assert is_equal is hmac.compare_digest
