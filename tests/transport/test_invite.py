"""Invites survive what people and chat programs do to them, and say what is wrong otherwise."""

from __future__ import annotations

import base64
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SottovoceError
from transport.description import (
    MAX_CANDIDATES,
    CandidateAddress,
    PeerDescription,
    Role,
    pack_description,
    unpack_description,
    usable,
)
from transport.identity import Identity, ice_credentials
from transport.invite import (
    InviteError,
    decode_invite,
    encode_invite,
    invite_link,
)
from transport.signaling import CopyPasteSignaling, Signaling
from transport.ticket import ResumeTicket

CALLER = PeerDescription(
    Role.CALLER,
    bytes(range(16)),
    bytes(range(16, 32)),
    (
        CandidateAddress("host", "192.168.1.5", 50_000),
        CandidateAddress("srflx", "203.0.113.9", 61_000),
        CandidateAddress("relay", "2001:db8::1", 3478),
    ),
)
CALLEE = PeerDescription(
    Role.CALLEE,
    bytes(16),
    bytes(16),
    (CandidateAddress("host", "10.0.0.1", 4000),),
    CALLER.tag,
)

candidates = st.builds(
    CandidateAddress,
    st.sampled_from(["host", "srflx", "relay"]),
    st.ip_addresses().map(str),
    st.integers(1, 65_535),
).filter(usable)
descriptions = st.builds(
    PeerDescription,
    st.sampled_from(Role),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16),
    st.lists(candidates, max_size=8).map(tuple),
    st.sampled_from([b"", b"abcd"]),
)


@given(descriptions)
def test_descriptions_come_back_as_they_were(description: PeerDescription) -> None:
    assert unpack_description(pack_description(description)) == description


def test_a_code_that_names_more_addresses_than_may_be_tried_is_refused() -> None:
    def named(count: int, host: bytes) -> bytes:
        kind = bytes((len(host) == 16,))
        data = pack_description(PeerDescription(Role.CALLER, bytes(16), bytes(16), ()))[:-4]
        data += b"".join(kind + host + bytes((1, n % 256)) for n in range(count))
        return data + zlib.crc32(data).to_bytes(4, "big")

    for host in (b"\x0a\0\0\1", bytes.fromhex("20010db8") + bytes(12)):
        whole = unpack_description(named(MAX_CANDIDATES, host))
        assert whole is not None and len(whole.candidates) == MAX_CANDIDATES
        assert unpack_description(named(MAX_CANDIDATES + 1, host)) is None
        huge = named(5000, host)
        begun_s = time.thread_time()
        assert unpack_description(huge) is None
        assert time.thread_time() - begun_s < 0.001


@given(st.binary(max_size=300))
def test_no_bytes_upset_the_reader(data: bytes) -> None:
    unpack_description(data)
    unpack_description(data + zlib.crc32(data).to_bytes(4, "big"))
    framed = b"\x12" + bytes(32) + data
    unpack_description(framed + zlib.crc32(framed).to_bytes(4, "big"))


@given(st.text(max_size=500))
def test_no_text_upsets_the_reader(text: str) -> None:
    with pytest.raises(InviteError):
        decode_invite(text, Role.CALLER)


def test_a_code_is_short_enough_for_a_chat() -> None:
    one = PeerDescription(Role.CALLER, bytes(16), bytes(16), CALLER.candidates[:2])
    assert len(encode_invite(one)) <= 85
    assert len(encode_invite(CALLER)) <= 120


def test_what_chats_do_to_a_code_is_forgiven() -> None:
    code = encode_invite(CALLER)
    lines = "\n".join(code[i : i + 20] for i in range(0, len(code), 20))
    for text in (
        code,
        code.upper(),
        f"  {code}\n",
        lines,
        invite_link(code),
        invite_link(code).upper(),
        f"<sottovoce://{code}>",
        "-".join(code[i : i + 4] for i in range(0, len(code), 4)),
        code[:30] + "\u200b" + code[30:],
    ):
        assert decode_invite(text, Role.CALLER) == CALLER


def test_every_single_typing_error_is_noticed() -> None:
    code = encode_invite(CALLER)
    for place in range(len(code)):
        for wrong in "ab27":
            if code[place] != wrong:
                with pytest.raises(InviteError):
                    decode_invite(code[:place] + wrong + code[place + 1 :], Role.CALLER)
        with pytest.raises(InviteError):
            decode_invite(code[:place] + code[place + 1 :], Role.CALLER)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "paste the code"),
        ("https://example.org/meeting", "whole code"),
        ("a" * 2000, "paste the code alone"),
        ("abc1", "copy it once more"),
        (encode_invite(CALLER)[:-8], "copy it once more"),
        (encode_invite(CALLEE), "This is an answer"),
        (base64.b32encode(b"\x90" * 40).decode(), "another version"),
        (encode_invite(PeerDescription(Role.CALLER, bytes(16), bytes(16), ())), "no address"),
    ],
)
def test_a_bad_invite_is_refused_with_advice(text: str, advice: str) -> None:
    with pytest.raises(SottovoceError, match=advice):
        decode_invite(text, Role.CALLER)


def test_an_answer_to_another_invite_is_refused() -> None:
    assert decode_invite(encode_invite(CALLEE), Role.CALLEE, CALLER.tag) == CALLEE
    for rubbish in ("", "garbage!", "a" * 9_000):  # where an answer is wanted, none is an invite
        with pytest.raises(InviteError, match="answer"):
            decode_invite(rubbish, Role.CALLEE)
    with pytest.raises(InviteError, match="another invite"):
        decode_invite(encode_invite(CALLEE), Role.CALLEE, b"none")


def test_addresses_nobody_may_be_made_to_send_to_are_left_out() -> None:
    bad = ("224.0.0.1", "0.0.0.0", "255.255.255.255", "ff02::1", "example.org")
    description = PeerDescription(
        Role.CALLER, bytes(16), bytes(16), tuple(CandidateAddress("host", h, 5) for h in bad)
    )
    assert unpack_description(pack_description(description)).candidates == ()


def test_ice_credentials_follow_from_the_secret_alone() -> None:
    assert ice_credentials(bytes(16)) == ice_credentials(bytes(16))
    assert ice_credentials(bytes(16)) != ice_credentials(b"\x01" + bytes(15))
    fragment, password = ice_credentials(bytes(16))
    assert (len(fragment), len(password)) == (8, 24)


def test_copy_and_paste_is_one_way_of_signalling() -> None:
    caller, callee = CopyPasteSignaling(Role.CALLER), CopyPasteSignaling(Role.CALLEE)
    ways: list[Signaling] = [caller, callee]
    caller.publish(CALLER)
    assert callee.poll() is None
    assert callee.paste(caller.code or "") == CALLER
    callee.publish(CALLEE)
    with pytest.raises(InviteError, match="answer to yours"):
        caller.paste(caller.code or "")
    caller.paste(callee.code or "")
    assert [way.poll() for way in ways] == [CALLEE, CALLER]
    for way in ways:
        way.close()
    assert caller.code is None


def test_an_identity_and_a_ticket_can_be_kept_and_read_again() -> None:
    identity = Identity.generate()
    again = Identity.from_pem(identity.to_pem(), identity.secret)
    assert again.fingerprint == identity.fingerprint
    assert Identity.generate().fingerprint != identity.fingerprint
    ticket = ResumeTicket(Role.CALLEE, identity, {"127.0.0.1": 5}, CALLER)
    read = ResumeTicket.from_bytes(ticket.to_bytes())
    assert (read.role, read.ports, read.remote) == (Role.CALLEE, {"127.0.0.1": 5}, CALLER)
    assert read.identity.fingerprint == identity.fingerprint


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"version": 2}', bytes(20_000)])
def test_a_broken_ticket_is_refused_with_advice(data: bytes) -> None:
    with pytest.raises(SottovoceError, match="new invite"):
        ResumeTicket.from_bytes(data)
