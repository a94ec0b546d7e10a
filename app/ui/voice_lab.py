"""The voice lab: what one recording says, in a voice between two recordings.

Words and the first voice come from one ``.sotto`` file, the second voice from another; a slider
chooses the way between them. Speaking runs on a thread; what is saved is marked as synthetic.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QLineEdit,
    QProgressBar,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from app.ui.buttons import IconButton
from app.ui.tasks import Tasks, error_line
from app.ui.theme import theme
from app.ui.tones import Tones
from app.ui.view_models import tr
from app.ui.widgets import Card, column, label, row, set_text
from engine.errors import SottovoceError
from engine.events import Pcm

FILES = "*.sotto *.wav *.flac *.ogg *.mp3"
POLL_MS = 50


def speak_between(words: Path, voice: Path | None, amount: float) -> Pcm:
    """Speak ``words`` with its own voice moved by ``amount`` towards ``voice``: [N] at 16 kHz.

    Takes ``.sotto`` files and sound files. Raises SottovoceError with one line.
    """
    from app.wavfile import read_wav
    from engine.codec import EncodedSpeech, SpeechCodec
    from engine.voice import blend

    codec = SpeechCodec()

    def load(path: Path) -> EncodedSpeech:
        if path.suffix.lower() == ".sotto":
            return EncodedSpeech.load(path)
        return codec.encode(read_wav(path))

    said = load(words)
    if voice is None or amount <= 0.0:
        return codec.decode(said)
    other = load(voice)
    for path, encoded in ((words, said), (voice, other)):
        if encoded.voice is None:
            raise SottovoceError(f"{path.name} holds too little speech to take a voice from.")
    if said.voice is None or other.voice is None:
        return codec.decode(said)
    return codec.decode(said, voice=blend(said.voice, other.voice, amount))


class FileRow(QWidget):
    """A path with a button to choose it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.path = QLineEdit()
        self.path.setAccessibleName(name)
        self.path.setPlaceholderText(tr("A recording or a .sotto file"))
        button = IconButton(tr("Choose …"), "folder")
        button.clicked.connect(self._choose)
        self.setLayout(row(self.path, button))

    def _choose(self) -> None:
        chosen, _kind = QFileDialog.getOpenFileName(self, self._name, "", f"{self._name} ({FILES})")
        if chosen:
            self.path.setText(chosen)

    def value(self) -> Path | None:
        text = self.path.text().strip()
        return Path(text).expanduser() if text else None


class VoiceLab(QDialog):
    def __init__(self, loudspeaker: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tasks = Tasks()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="voice lab")
        self._player = Tones(loudspeaker)
        self.spoken: Pcm | None = None
        theme().dress(self)
        self.setWindowTitle(tr("Voice lab"))
        self.resize(560, 420)
        self.words, self.voice = FileRow(tr("What is said")), FileRow(tr("The other voice"))
        self.amount = QSlider(Qt.Orientation.Horizontal)
        self.amount.setRange(0, 100)
        self.amount.setValue(50)
        self.amount.setAccessibleName(tr("Way to the other voice"))
        self._figure = label("", "figure")
        self.amount.valueChanged.connect(self._describe)
        self.speak = IconButton(tr("Speak"), "play", "primary")
        self.speak.clicked.connect(self.begin)
        self.save = IconButton(tr("Save …"), "folder")
        self.save.setEnabled(False)
        self.save.clicked.connect(self._save)
        self.busy = QProgressBar()
        self.busy.setRange(0, 0)
        self.busy.hide()
        self.note = label("", "error", wrap=True)
        card = Card()
        card.body.addLayout(column(label(tr("What is said"), "small"), self.words, spacing=4))
        card.body.addLayout(column(label(tr("The other voice"), "small"), self.voice, spacing=4))
        ends = row(label(tr("The talker's own"), "small"), None, label(tr("The other's"), "small"))
        middle = row(None, self._figure, None)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 20)
        layout.setSpacing(12)
        layout.addWidget(label(tr("A voice between two"), "title"))
        layout.addWidget(card)
        layout.addLayout(middle)
        layout.addWidget(self.amount)
        layout.addLayout(ends)
        layout.addWidget(self.note)
        layout.addWidget(self.busy)
        layout.addStretch(1)
        layout.addWidget(
            label(tr("What you hear and save here is a synthetic voice."), "small", wrap=True)
        )
        layout.addLayout(row(None, self.save, self.speak))
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tasks.poll)
        self._timer.start(POLL_MS)
        self._describe()

    def _describe(self) -> None:
        text = f"{self.amount.value()} %"
        set_text(self._figure, text)
        self.amount.setAccessibleDescription(text)

    def begin(self) -> None:
        words = self.words.value()
        if words is None:
            set_text(self.note, tr("Choose a recording of what is to be said."))
            return
        set_text(self.note, "")
        self.speak.setEnabled(False)
        self.busy.show()
        work = self._pool.submit(
            speak_between, words, self.voice.value(), self.amount.value() / 100.0
        )
        self._tasks.add(work, self._spoken, self._failed)

    def _spoken(self, pcm: Pcm) -> None:
        self.spoken = pcm
        self.speak.setEnabled(True)
        self.save.setEnabled(True)
        self.busy.hide()
        self._player.play_pcm(pcm)

    def _failed(self, line: str) -> None:
        set_text(self.note, line)
        self.speak.setEnabled(True)
        self.busy.hide()

    def _save(self) -> None:
        chosen, _kind = QFileDialog.getSaveFileName(self, tr("Save"), "voice.wav", "WAV (*.wav)")
        if chosen:
            self.save_to(Path(chosen))

    def save_to(self, path: Path) -> None:
        """Write what was spoken as a WAV whose comment says that it is synthetic."""
        from app.watermark import SYNTHETIC_COMMENT
        from app.wavfile import write_wav

        if self.spoken is None:
            return
        try:
            write_wav(path, self.spoken, comment=SYNTHETIC_COMMENT)
        except SottovoceError as error:
            set_text(self.note, error_line(error))

    def done(self, result: int) -> None:
        self._timer.stop()
        self._player.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        super().done(result)
