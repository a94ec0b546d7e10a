"""Text becomes phonemes of the inventory, whatever espeak-ng calls them."""

from __future__ import annotations

import pytest

from engine import g2p
from engine.errors import SottovoceError
from engine.phonemes import N_PHONEMES, PHONEMES
from tests.speech import SPEECH_REASON, alignments, dev_readers


def spell(text: str) -> str:
    return " ".join(PHONEMES[i] for i in g2p.text_to_ids(text))


@pytest.mark.parametrize(
    ("symbols", "phonemes"),
    [
        ("lɪɾəl", "l ɪ ɾ ə l"),
        ("bʌʔn̩", "b ʌ t ə n"),
        ("θiəɹi", "θ iː ə ɹ iː"),
        ("faɪɚ", "f aɪ ɚ"),
        ("hɪɹ", "h ɪ ɹ"),
        ("koːɹt", "k ɔː ɹ t"),
        ("lɑːx", "l ɑː k"),
        ("tʃɜːtʃ", "tʃ ɜː tʃ"),
        ("ˈʒɑ̃", "ʒ ɑː"),
        ("", ""),
        ("?!7", ""),
    ],
)
def test_espeak_symbols_fold_onto_the_inventory(symbols: str, phonemes: str) -> None:
    assert " ".join(PHONEMES[i] for i in g2p.fold(symbols)) == phonemes


def test_text_becomes_phonemes() -> None:
    assert spell("The little bottle") == "ð ə l ɪ ɾ ə l b ɑː ɾ ə l"
    assert spell("THE LITTLE BOTTLE") == spell("the little bottle")


@pytest.mark.parametrize("text", ["", "   ", "...!?", "—"])
def test_text_without_words_has_no_phonemes(text: str) -> None:
    assert g2p.text_to_ids(text) == []


def test_many_texts_at_once_are_the_same_as_one_by_one() -> None:
    texts = ["The little bottle", "", "?!", "a fire\nin theory", "WHO GOES THERE"]
    assert g2p.texts_to_ids(texts) == [g2p.text_to_ids(text) for text in texts]


def test_foreign_and_odd_text_stays_inside_the_inventory() -> None:
    ids = g2p.text_to_ids("Zdzisław ate crème brûlée @ 3:45, naïve 東京 résumé, $12.50 & C3PO")
    assert ids
    assert all(0 < i < N_PHONEMES for i in ids)


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from phonemizer.backend import EspeakBackend

    def absent(*args: object, **kwargs: object) -> None:
        raise RuntimeError("espeak not installed on your system")

    monkeypatch.setattr(EspeakBackend, "__init__", absent)
    g2p._backend.cache_clear()
    with pytest.raises(SottovoceError, match="install"):
        g2p.text_to_ids("hello")
    monkeypatch.undo()
    g2p._backend.cache_clear()
    assert spell("hello") == "h ə l oʊ"


def test_transcripts_agree_with_the_corpus_alignments() -> None:
    readers = dev_readers()
    if not readers:
        pytest.skip(SPEECH_REASON)
    aligned = alignments()
    spelled = g2p.texts_to_ids([text for _, _, text in readers])
    for (name, _, _), ids in zip(readers, spelled, strict=True):
        events = [phoneme for phoneme, _, _ in aligned[name] if phoneme != "sil"]
        assert [PHONEMES[i] for i in ids] == events
