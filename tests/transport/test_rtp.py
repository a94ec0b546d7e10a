"""RTP, RTCP and control parsers: what was packed comes back, anything else is refused."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import VoiceDescriptor
from transport import control
from transport.control import (
    MAX_CHAT_BYTES,
    MAX_CONTROL_BYTES,
    Bye,
    ByeReason,
    Chat,
    Consent,
    ConsentAction,
    Hello,
    MediaState,
    VoiceUpdate,
    encode_control,
    is_report,
    parse_control,
)
from transport.reports import ReceiverReport
from transport.rtcp import (
    APP_ANSWER,
    APP_PROBE,
    APP_REPORT,
    ReportBlock,
    Rtcp,
    ntp_middle,
    ntp_time,
    pack_app,
    pack_reports,
    parse_rtcp,
)
from transport.rtp import (
    ReplayWindow,
    RtpPacket,
    SequenceUnwrapper,
    is_rtcp,
    pack_rtp,
    parse_rtp,
)
from transport.session import RtpSession, SessionKeys

MESSAGES = [
    Hello("Ada", 1, 0xDEADBEEF),
    Hello("Grüße, 世界", 2),
    *(Consent(action) for action in ConsentAction),
    VoiceUpdate(VoiceDescriptor(255, 120, tuple(range(40)))),
    ReceiverReport(1.0, 2550.0, 510.0, 123_456, 250.0),
    ReceiverReport(),
    MediaState(True, True),
    MediaState(False),
    Chat("see you at five"),
    *(Bye(reason) for reason in ByeReason),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_control_messages_come_back_as_they_were(message: control.ControlMessage) -> None:
    data = encode_control(message)
    assert len(data) <= MAX_CONTROL_BYTES
    assert parse_control(data) == message
    assert is_report(data) == isinstance(message, ReceiverReport)


def test_long_names_and_chats_are_cut_between_characters() -> None:
    parsed = parse_control(encode_control(Hello("ß" * 100)))
    assert parsed == Hello("ß" * 32)
    assert isinstance(parse_control(encode_control(Chat("€" * 400))), Chat)


def test_a_message_of_another_version_or_kind_or_length_is_refused() -> None:
    chat = encode_control(Chat("hello"))
    assert parse_control(bytes((chat[0] + 0x10,)) + chat[1:]) is None
    assert parse_control(bytes((chat[0] & 0xF0 | 0x0F,)) + chat[1:]) is None
    assert parse_control(chat + b"x" * (MAX_CHAT_BYTES - 4)) is None
    for message in (Bye(), MediaState(True), Consent(ConsentAction.STOP), ReceiverReport()):
        data = encode_control(message)
        assert parse_control(data + b"\0") is None and parse_control(data[:-1]) is None
    assert parse_control(encode_control(MediaState(True))[:1] + b"\x04") is None


def test_names_that_could_repaint_a_terminal_are_refused() -> None:
    assert parse_control(encode_control(Hello("\x1b[2J"))) is None
    assert parse_control(encode_control(Chat("two\nlines"))) is None


@given(st.binary(max_size=600))
def test_no_bytes_upset_the_parsers(data: bytes) -> None:
    for message in (parse_control(data), parse_control(b"\x11" + data)):
        assert message is None or parse_control(encode_control(message)) == message
    parse_rtp(data)
    parse_rtp(struct.pack("!BB", 0x90, 97) + data)
    parse_rtcp(data)
    is_rtcp(data)


@given(st.integers(0, 255), st.binary(max_size=120))
def test_no_rtcp_body_upsets_the_session(kind: int, body: bytes) -> None:
    body += bytes(-len(body) % 4)
    session = RtpSession()
    session.on_rtcp(struct.pack("!BBH", 0x81, kind, len(body) // 4) + body, 5.0)
    session.on_rtp(struct.pack("!BB", 0xB5, 111) + body, 5.0)
    session.poll(10.0)
    assert session.stats().phonemes.packets_lost == 0


def test_rtp_comes_back_with_and_without_a_report() -> None:
    plain = RtpPacket(97, 65_535, 2**32 - 1, 0xFFFFFFFF, b"payload")
    assert len(pack_rtp(plain)) == 12 + 7
    assert parse_rtp(pack_rtp(plain)) == plain
    reported = RtpPacket(111, 1, 2, 3, b"payload", b"0123456789")
    assert len(pack_rtp(reported)) == 12 + 16 + 7
    assert parse_rtp(pack_rtp(reported)) == reported


def test_rtp_with_sources_padding_and_foreign_extensions_is_understood() -> None:
    header = struct.pack("!BBHII", 0x80 | 0x20 | 0x10 | 2, 97, 5, 6, 7) + bytes(8)
    extension = struct.pack("!HH", 0x1000, 1) + b"abcd"
    packet = parse_rtp(header + extension + b"hello" + b"\x00\x00\x03")
    assert packet == RtpPacket(97, 5, 6, 7, b"hello")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(12),
        struct.pack("!BBHII", 0x80, 98, 0, 0, 0),  # another payload type
        struct.pack("!BBHII", 0x8F, 97, 0, 0, 0),  # fifteen sources that are not there
        struct.pack("!BBHII", 0x90, 97, 0, 0, 0) + struct.pack("!HH", 0xBEDE, 9),
        struct.pack("!BBHII", 0xA0, 97, 0, 0, 0) + b"ab\x09",  # more padding than packet
        struct.pack("!BBHII", 0xA0, 97, 0, 0, 0) + b"ab\x00",
        struct.pack("!BBHII", 0x80, 97, 0, 0, 0) + bytes(1101),
        struct.pack("!BBHIIHH", 0x90, 97, 0, 0, 0, 0xBEDE, 17) + bytes(68),
    ],
)
def test_broken_rtp_is_refused(data: bytes) -> None:
    assert parse_rtp(data) is None


def test_rtcp_reports_come_back() -> None:
    blocks = (ReportBlock(1, 255, -5, 70_000, 4, 5, 6), ReportBlock(2, 0, 8_388_607, 1, 0, 0, 0))
    data = pack_reports(9, blocks, (1 << 63, 2, 3, 4))
    assert len(data) == 28 + 2 * 24
    assert parse_rtcp(data) == Rtcp(9, 1 << 63, blocks)
    compound = pack_reports(9, blocks[:1], None) + pack_app(9, APP_REPORT, b"report")
    assert parse_rtcp(compound) == Rtcp(9, None, blocks[:1], b"report")
    assert parse_rtcp(pack_app(9, APP_PROBE)) == Rtcp(9, probe=True)
    assert parse_rtcp(pack_app(9, APP_ANSWER)) == Rtcp(9, answer=True)


def test_rtcp_that_promises_more_than_it_has_is_refused() -> None:
    data = bytearray(pack_reports(9, (ReportBlock(1, 0, 0, 0, 0, 0, 0),), None))
    data[0] |= 5
    assert parse_rtcp(bytes(data)) is None
    assert parse_rtcp(pack_app(1, APP_PROBE) * 20) is None
    assert parse_rtcp(struct.pack("!BBH", 0x80, 200, 1) + bytes(4)) is None
    report = bytearray(pack_app(9, APP_REPORT, b"report"))
    report[12] = 200  # the length of the report inside
    assert parse_rtcp(bytes(report)) == Rtcp(9)


def test_sequence_numbers_rise_through_wraps_and_restarts() -> None:
    unwrapper = SequenceUnwrapper()
    sent = [65_533, 65_534, 0, 65_535, 1, 2]
    assert [unwrapper.unwrap(n) for n in sent] == [65_533, 65_534, 65_536, 65_535, 65_537, 65_538]
    assert unwrapper.unwrap(30_000) is None  # one wild number is not believed
    assert unwrapper.unwrap(3) == 65_539
    assert unwrapper.unwrap(30_000) is None
    assert unwrapper.unwrap(30_001) == 65_540  # two in a row are a restart
    assert unwrapper.unwrap(30_002) == 65_541
    unwrapper.restart()
    assert unwrapper.unwrap(12) == 65_542
    assert unwrapper.highest == 65_542


@given(st.lists(st.integers(0, 65_535), max_size=200))
def test_the_replay_window_lets_each_number_through_once(numbers: list[int]) -> None:
    window = ReplayWindow()
    passed = [n for n in numbers if window.first_time(n)]
    assert len(passed) == len(set(passed))


def test_a_flood_is_cut_and_counted() -> None:
    session = RtpSession()
    for n in range(2000):
        session.on_rtp(pack_rtp(RtpPacket(97, n, n, 1, b"x")), n * 0.1)
    assert session.dropped["flood"] > 1700
    assert session.stats().phonemes.packets_received < 250


def test_a_restarted_peer_is_not_a_burst_of_loss() -> None:
    session = RtpSession()
    numbers = []
    for ssrc, first in ((1, 100), (2, 9000)):
        for n in range(5):
            data = pack_rtp(RtpPacket(97, first + n, n, ssrc, b"x"))
            packet = session.on_rtp(data, n * 100.0)
            assert packet is not None
            assert packet.stream == ssrc - 1  # indices and timestamps begin anew
            numbers.append(packet.sequence_number)
    assert numbers == list(range(100, 110))
    assert session.stats().phonemes.packets_lost == 0


def test_a_flood_of_reports_is_cut_and_counted() -> None:
    session = RtpSession()
    data = pack_reports(9, (ReportBlock(1, 0, 0, 0, 0, 0, 0),), None)
    heard = sum(session.on_rtcp(data, n * 0.1) is not None for n in range(2000))
    assert heard < 120 and session.dropped["flood"] > 1800


def test_a_probe_is_answered_by_an_end_that_has_nothing_to_say() -> None:
    near, far = RtpSession(), RtpSession()
    near.poll(0.0)
    (probe,) = near.poll(3000.0)
    assert far.poll(3000.0) == []
    heard = far.on_rtcp(probe, 3010.0)
    assert heard is not None and heard.probe
    (answer,) = far.poll(3020.0)
    heard = near.on_rtcp(answer, 3030.0)
    assert heard is not None and heard.answer
    assert near.last_heard_ms == 3030.0
    assert near.poll(3040.0) == far.poll(3040.0) == []  # an answer is not answered


def test_jitter_and_round_trip_survive_wrapping() -> None:
    near, far = RtpSession(), RtpSession()
    begin_ms = 2.0**32 / 65.536 - 10_000.0  # NTP's middle bits wrap 10 s later
    for n in range(60):
        now_ms = begin_ms + 200.0 * n
        timestamp = 2**32 - 20 * 3200 + 3200 * n & 0xFFFFFFFF  # and the media clock after 4 s
        data = near.pack("phonemes", timestamp, b"x", now_ms)
        late_ms = 40.0 * (n % 2) if n >= 40 else 0.0
        assert data is not None and far.on_rtp(data, now_ms + 50.0 + late_ms) is not None
        if n == 39:
            assert far.stats().phonemes.jitter_ms < 0.1
        for rtcp in near.poll(now_ms + 60.0):
            far.on_rtcp(rtcp, now_ms + 110.0)
        for rtcp in far.poll(now_ms + 120.0):
            near.on_rtcp(rtcp, now_ms + 170.0)
    assert 15.0 < far.stats().phonemes.jitter_ms < 45.0  # still measured after the wrap
    assert near.stats().round_trip_ms == pytest.approx(100.0, abs=1.0)


def test_a_report_about_the_moment_before_the_clock_wrapped_gives_the_round_trip() -> None:
    wrap_ms, session = 2.0**32 / 65.536, RtpSession()
    asked = ntp_middle(ntp_time(wrap_ms - 100.0))
    block = ReportBlock(SessionKeys().ssrcs[0], 0, 0, 0, 0, asked, 0)
    session.on_rtcp(pack_reports(9, (block,), None), wrap_ms + 50.0)
    assert session.round_trip_ms == pytest.approx(150.0, abs=1.0)


LARGEST = {
    "rtp": pack_rtp(RtpPacket(97, 1, 2, 3, bytes(1100), bytes(16))),
    "rtp with empty extension": struct.pack("!BBHIIHH", 0x90, 97, 0, 0, 0, 0xBEDE, 16) + bytes(64),
    "reports": pack_reports(9, (ReportBlock(1, 0, 0, 0, 0, 0, 0),) * 18, (1, 2, 3, 4)),
    "packets": (pack_app(9, APP_REPORT, bytes(40)) * 8)[:512],
    "chat": encode_control(Chat("x" * 500)),
    "voice": encode_control(VoiceUpdate(VoiceDescriptor(1, 100, tuple(range(40))))),
    "zeros": bytes(1300),
    "ones": b"\xff" * 1300,
}


@pytest.mark.parametrize("data", LARGEST.values(), ids=LARGEST.keys())
def test_nothing_that_fits_a_datagram_takes_a_millisecond_to_read(data: bytes) -> None:
    taken_ms = []
    for _ in range(15):
        session = RtpSession()
        begun_s = time.thread_time()
        session.on_rtp(data, 0.0)
        session.on_rtcp(data, 0.0)
        parse_control(data)
        taken_ms.append((time.thread_time() - begun_s) * 1000.0)
    assert min(taken_ms) < 1.0


def test_a_packet_takes_far_less_than_a_millisecond() -> None:
    session = RtpSession()
    packets = [pack_rtp(RtpPacket(97, n, n, 1, bytes(60), bytes(10))) for n in range(1000)]
    begun = time.perf_counter()
    for n, data in enumerate(packets):
        session.on_rtp(data, n * 20.0)
    assert (time.perf_counter() - begun) / len(packets) < 0.001
