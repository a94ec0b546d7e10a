"""What the window says is so: nothing tells the arms apart in a blind test, what was set is shown,
and what came is not missed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from app.audio import NullPort
from app.call import Call
from app.call_state import CallState
from app.export import TWO_TALKERS
from app.settings import Settings
from app.stats import DELAY_STAGES, Arm, CallStats, ChatLine
from app.ui.chat_panel import plain_line
from app.ui.delay_bar import DelayCard
from app.ui.view_models import judge
from tests.app.calls import make_call
from tests.ui.conftest import MakeWindow
from transport.impair import PRESETS

ACTIVE = CallStats(state=CallState.ACTIVE, peer_name="Bo", seconds=9.0, events_received=40)


@pytest.fixture
def call(tmp_path: Path) -> Call:
    return make_call("Ada", np.zeros(160, np.float32), tmp_path)


def test_in_a_blind_test_the_light_says_the_same_of_both_arms(make_window: MakeWindow) -> None:
    """One arm is far worse than the other: whoever sees the light would know which one is heard."""
    scores: Mapping[str, float | None] = MappingProxyType({"phonemes": 0.95, "opus": 0.2})
    worse = dataclasses.replace(ACTIVE, intelligibility=scores)
    arms: tuple[Arm, Arm] = ("phonemes", "opus")
    told = {judge(dataclasses.replace(worse, arm=arm)).word for arm in arms}
    assert told == {"Good", "Poor"}
    header = make_window().page.header
    seen = set()
    for arm in arms:
        header.show_stats(dataclasses.replace(worse, arm=arm, synthetic=arm == "phonemes"), True)
        light = header.light
        words = (light.text(), light.toolTip(), light.accessibleName())
        seen.add((*words, light.accessibleDescription(), header.badge.text(), header.state.text()))
    assert len(seen) == 1


def test_a_blind_test_hides_every_sign_of_the_arm_and_nobody_elses_hand_moves_it(
    make_window: MakeWindow, call: Call
) -> None:
    window = make_window(call)
    window.attach(call)
    page = window.page
    window.blind.open(call)
    dialog = window.blind.dialog
    assert dialog is not None
    dialog.start()
    assert dialog.session is not None
    hidden = dialog.session.arm_of("X")
    assert call._switches.aligned  # a leap in time would tell the arms apart
    page.show_stats(dataclasses.replace(call.stats(), state=CallState.ACTIVE), "Space")
    assert page.speech.spectrogram._hidden
    assert page.speech._heard.text() == "A blind test is on"
    for switch in (page.bar.switch, page.details.compare.switch):
        assert switch.current() == "" and not switch.isEnabled()
    page.switch_arm()  # the key A
    assert call.stats().arm == hidden
    call.set_arm("opus" if hidden == "phonemes" else "phonemes")
    window.blind.show_stats(call.stats())
    assert call.stats().arm == hidden
    dialog.reject()
    assert call.stats().arm == "phonemes" and not call._switches.aligned  # as before
    page.show_stats(dataclasses.replace(call.stats(), state=CallState.ACTIVE), "Space")
    assert page.bar.switch.current() == "phonemes"
    assert not page.speech.spectrogram._hidden
    call.close()


def test_before_anything_was_heard_nothing_is_called_good_or_quick(qapp: object) -> None:
    assert judge(dataclasses.replace(ACTIVE, events_received=0)).word == "Quiet"
    assert judge(ACTIVE).word == "Good"
    card = DelayCard()
    card.show_stats(CallStats())
    assert {card.total.text(), *(value.text() for value in card.values.values())} == {"–"}
    known = dict.fromkeys(DELAY_STAGES, 0.0) | {"network": 80.0}
    card.show_stats(dataclasses.replace(ACTIVE, delay_stages_ms=MappingProxyType(known)))
    assert (card.total.text(), card.values["capture"].text()) == ("80 ms", "0 ms")


def test_a_link_that_was_made_worse_before_the_window_came_is_shown(
    make_window: MakeWindow, call: Call
) -> None:
    call.set_impairment(PRESETS["train"])
    window = make_window(call)
    window.attach(call)
    panel = window.page.details.link
    assert panel.sliders["loss"].real() == pytest.approx(PRESETS["train"].loss)
    assert "train" in [choices.current() for choices in panel._rows]
    call.close()


def test_a_slider_changes_the_link_and_a_preset_is_left_by_it(
    make_window: MakeWindow, call: Call, qtbot: QtBot
) -> None:
    window = make_window(call)
    window.attach(call)
    panel = window.page.details.link
    panel.choose_preset("satellite")
    assert call.impairment() == PRESETS["satellite"]
    assert panel.sliders["rate_bps"].value.text() == "9.6 kbit/s"
    panel.sliders["loss"].slider.setValue(33)
    wanted = dataclasses.replace(PRESETS["satellite"], loss=0.33)
    qtbot.waitUntil(lambda: call.impairment() == wanted, timeout=5000)
    assert {choices.current() for choices in panel._rows} == {""}
    panel.choose_preset("good Wi-Fi")
    assert panel.sliders["loss"].value.text() == "0.5 %"  # not none
    panel.choose_preset("perfect")
    assert call.impairment() is None
    call.close()


def test_ringing_and_the_call_end_where_one_leaves(
    make_window: MakeWindow, call: Call, qtbot: QtBot
) -> None:
    heard: list[str] = []

    class Bell:
        def play(self, name: str, *, repeat: bool = False) -> None:
            heard.append(name)

        def stop(self) -> None:
            heard.append("silence")

    window = make_window(call, sounds=Bell())
    window.begin_join()
    window.exchange._accepted("abc")
    assert heard == ["ringing"]
    window.desk.call = call
    window.leave()
    # nobody listens on behind the start page
    qtbot.waitUntil(lambda: call.state is CallState.ENDED, timeout=5000)
    assert heard == ["ringing", "silence"]
    assert window.pages.currentWidget() is window.start
    call.close()


def test_what_a_recording_says_of_itself_names_the_consent(call: Call) -> None:
    said = call._recording_info(dataclasses.replace(ACTIVE, impairment="20 % loss"))
    assert "both sides agreed" in str(said["consent"])
    assert said["link"] == "20 % loss"
    assert "other side" in str(said[TWO_TALKERS])
    call.close()


def test_a_message_is_one_line_that_turns_nothing_around() -> None:
    assert plain_line(" a\u202eb\x1b[31mc\nd ") == "ab[31mcd"
    assert len(plain_line("x" * 9_000)) == 500


def test_a_message_is_told_where_no_chat_is_open_and_none_is_ever_left_out(
    make_window: MakeWindow, call: Call, qtbot: QtBot
) -> None:
    window = make_window(call)
    window.attach(call)
    page, chat = window.page, window.page.details.chat
    call._words._chat.append(ChatLine(False, "it is spelled " + "A" * 400, 0.0))
    chat.refresh()
    page.show_stats(ACTIVE, "Space")
    assert page.notice.isVisible()
    assert "it is spelled" in page.notice.text.text()
    assert len(page.notice.text.text()) < 200
    page.open_details(True)
    page.details.open("chat")
    qtbot.waitUntil(chat.isVisible, timeout=5000)
    page.show_stats(ACTIVE, "Space")
    assert page.notice.isHidden()
    for number in range(450):  # more than the call keeps
        call._words._chat.append(ChatLine(number % 2 == 0, f"line {number}", 0.0))
        if number % 150 == 149:
            chat.refresh()
    shown = chat.lines.toPlainText().splitlines()
    assert [line.rpartition(" ")[2] for line in shown[-450:]] == [str(n) for n in range(450)]
    call.close()


def test_a_way_of_talking_and_a_folder_chosen_in_a_call_are_used_in_it(
    make_window: MakeWindow, call: Call, tmp_path: Path
) -> None:
    window = make_window(call)
    window.attach(call)
    new = dataclasses.replace(
        window.settings, push_to_talk="hold", recordings=str(tmp_path / "elsewhere")
    )
    window.preferences.apply(new, call)
    assert call.stats().push_to_talk
    assert not call._switches.microphone_open
    assert call.recording._parent == tmp_path / "elsewhere"
    window.preferences.apply(dataclasses.replace(new, push_to_talk="off"), call)
    assert call._switches.microphone_open
    call.close()


def test_two_things_to_say_are_both_said(tmp_path: Path) -> None:
    port = NullPort(notice="The sound device X cannot be opened (gone): choose another one.")
    call = Call(Settings(recordings=str(tmp_path)), port)
    call._notice = "The other side has other models; voices may sound odd."
    assert "other models" in call.stats().notice
    assert "choose another one" in call.stats().notice
    call.close()


def test_settings_that_cannot_be_saved_are_said_in_a_call_too(
    make_window: MakeWindow, call: Call
) -> None:
    window = make_window(call)
    window.attach(call)
    window.preferences.not_saved.emit("Settings cannot be saved to /nowhere (full).")
    window.page.show_stats(ACTIVE, "Space")
    assert "/nowhere" in window.page.notice.text.text()
    call.close()


def test_who_is_muted_over_there_is_said(make_window: MakeWindow) -> None:
    bar = make_window().page.bar
    bar.show_stats(dataclasses.replace(ACTIVE, peer_muted=True), "Space")
    assert bar._far_text.text() == "Muted"
