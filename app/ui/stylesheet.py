"""The Qt style sheet, written once for both palettes on a grid of 4 and 8 pixels.

Widgets ask for a look through dynamic properties: ``role`` on frames and a few labels (``card``,
``badge`` ...) and ``kind`` on buttons (``primary``, ``quiet``, ``danger`` ...). What text looks like
comes from palettes and fonts (``app.ui.widgets.LOOKS``): with rules Qt would have to style each of
hundreds of labels.
"""

from __future__ import annotations

from string import Template

from app.ui.palette import Palette

_TEMPLATE = Template("""
QDialog { background: $ground; }
QToolTip { background: $surface; color: $text; border: 1px solid $border; padding: 4px 8px; }
QFrame[role="card"] { background: $surface; border: 1px solid $border; border-radius: 12px; }
QFrame[role="bar"] { background: $surface; border: none; border-top: 1px solid $border; }
QFrame[role="header"] { background: $surface; border: none; border-bottom: 1px solid $border; }
QFrame[role="notice"] { background: $accent_weak; border: none; border-radius: 8px; }
QFrame[role="alert"] { background: $surface; border: 1px solid $danger; border-radius: 8px; }
QFrame[role="line"] { background: $border; border: none; max-height: 1px; min-height: 1px; }

QLabel[role="badge"] { background: $accent_weak; color: $text; border: 1px solid $accent;
    border-radius: 11px; padding: 4px 10px; min-height: 16px; font-size: 12px;
    font-weight: 600; }
QLabel[role="step"] { background: $accent; color: $on_accent; border-radius: 12px;
    font-size: 12px; font-weight: 600; }

QPushButton, QToolButton { background: $surface; border: 1px solid $border; border-radius: 8px;
    padding: 7px 14px; font-weight: 500; }
QPushButton:hover, QToolButton:hover { background: $second_weak; }
QPushButton:pressed, QToolButton:pressed { background: $border; }
QPushButton:disabled, QToolButton:disabled { color: $muted; background: $ground; }
QPushButton:focus, QToolButton:focus { border: 2px solid $accent; padding: 6px 13px; }
QPushButton:checked, QToolButton:checked { background: $accent_weak; border-color: $accent; }
QPushButton[kind="primary"] { background: $accent; color: $on_accent; border-color: $accent; }
QPushButton[kind="primary"]:hover { background: $accent_hover; }
QPushButton[kind="primary"]:disabled { background: $second_weak; color: $muted;
    border-color: $border; }
QPushButton[kind="primary"]:focus { border: 2px solid $text; }
QPushButton[kind="danger"] { background: $danger; color: $on_danger; border-color: $danger; }
QPushButton[kind="danger"]:focus { border: 2px solid $text; }
QPushButton[kind="quiet"], QToolButton[kind="quiet"] { background: transparent;
    border: 1px solid transparent; padding: 7px 8px; }
QPushButton[kind="quiet"]:hover, QToolButton[kind="quiet"]:hover { background: $second_weak; }
QPushButton[kind="quiet"]:focus, QToolButton[kind="quiet"]:focus { border: 2px solid $accent;
    padding: 6px 7px; }
QPushButton[kind="choice"] { border-radius: 12px; }
QPushButton[kind="segment"] { border-radius: 6px; border: 1px solid transparent;
    background: transparent; padding: 5px 10px; font-size: 13px; }
QPushButton[kind="segment"]:hover { background: $second_weak; }
QPushButton[kind="segment"]:checked { background: $accent; color: $on_accent; }
QPushButton[kind="segment"]:focus { border: 2px solid $text; padding: 4px 9px; }
QPushButton[kind="segment"][small="true"] { padding: 1px 8px; font-size: 12px; }
QPushButton[kind="segment"][small="true"]:focus { padding: 0px 7px; }
QFrame[role="segments"] { background: $sunken; border: 1px solid $border; border-radius: 8px; }
QToolButton[kind="round"] { border-radius: 14px; padding: 6px; font-size: 12px; }
QToolButton[kind="round"]:focus { padding: 5px; }
QToolButton[kind="hangup"] { border-radius: 14px; padding: 6px; font-size: 12px;
    background: $danger; border-color: $danger; color: $on_danger; }
QToolButton[kind="hangup"]:hover { background: $danger; border-color: $text; }
QToolButton[kind="hangup"]:focus { border: 2px solid $text; padding: 5px; }
QToolButton[kind="muted"] { border-radius: 14px; padding: 6px; font-size: 12px;
    color: $danger; border-color: $danger; background: $surface; }

QLineEdit, QPlainTextEdit, QComboBox, QSpinBox, QKeySequenceEdit QLineEdit {
    background: $sunken; border: 1px solid $border; border-radius: 8px; padding: 7px 10px;
    selection-background-color: $accent; selection-color: $on_accent; }
QLineEdit:focus, QPlainTextEdit:focus, QComboBox:focus, QSpinBox:focus {
    border: 2px solid $accent; padding: 6px 9px; }
QPlainTextEdit[role="code"] { font-family: "JetBrains Mono", "Cascadia Mono", "Menlo",
    "DejaVu Sans Mono", monospace; font-size: 12px; }
QComboBox::drop-down { border: none; width: 24px; }
QComboBox::down-arrow { image: url($arrow_down); width: 12px; height: 12px; }
QSpinBox { padding-right: 26px; }
QSpinBox:focus { padding-right: 25px; }
QSpinBox::up-button, QSpinBox::down-button { subcontrol-origin: border; width: 24px;
    border: none; background: transparent; }
QSpinBox::up-button { subcontrol-position: top right; margin-top: 4px; }
QSpinBox::down-button { subcontrol-position: bottom right; margin-bottom: 4px; }
QSpinBox::up-arrow { image: url($arrow_up); width: 12px; height: 12px; }
QSpinBox::down-arrow { image: url($arrow_down); width: 12px; height: 12px; }
QComboBox QAbstractItemView { background: $surface; border: 1px solid $border;
    selection-background-color: $accent; selection-color: $on_accent; padding: 4px; }

QSlider { min-height: 20px; }
QSlider::groove:horizontal { height: 4px; background: $border; border-radius: 2px; }
QSlider::sub-page:horizontal { background: $accent; border-radius: 2px; }
QSlider::handle:horizontal { width: 16px; height: 16px; margin: -6px 0; border-radius: 8px;
    background: $surface; border: 2px solid $accent; }
QSlider::handle:horizontal:focus { background: $accent; border-color: $text; }
QSlider::handle:horizontal:disabled, QSlider::sub-page:horizontal:disabled {
    background: $border; border-color: $border; }

QCheckBox, QRadioButton { spacing: 8px; }
QCheckBox:focus, QRadioButton:focus { color: $accent; }
QCheckBox::indicator { width: 18px; height: 18px; border: 1px solid $muted; border-radius: 4px;
    background: $sunken; }
QCheckBox::indicator:checked { background: $accent; border-color: $accent; image: url($check); }
QCheckBox::indicator:focus { border: 2px solid $accent; }

QGraphicsView { background: transparent; border: none; }
QScrollArea { border: none; background: transparent; }
QScrollArea > QWidget > QWidget { background: transparent; }
QScrollBar:vertical { background: transparent; width: 10px; margin: 0; }
QScrollBar::handle:vertical { background: $border; border-radius: 4px; min-height: 32px;
    margin: 1px; }
QScrollBar::handle:vertical:hover { background: $muted; }
QScrollBar::add-line, QScrollBar::sub-line { height: 0; width: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QScrollBar:horizontal { height: 0; }
QProgressBar { background: $sunken; border: none; border-radius: 3px; max-height: 6px; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }
QMenu { background: $surface; border: 1px solid $border; padding: 4px; }
QMenu::item { padding: 6px 24px 6px 12px; border-radius: 4px; }
QMenu::item:selected { background: $accent; color: $on_accent; }
""")


def _mix(one: str, other: str, amount: float) -> str:
    """``amount`` of the way from ``one`` to ``other``, both ``#rrggbb``."""
    pairs = ((int(one[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * amount):02X}" for a, b in pairs)


def stylesheet(palette: Palette, *, arrow_up: str, arrow_down: str, check: str) -> str:
    """The whole sheet; the arrows and ``check`` are paths of SVG files that Qt can read."""
    colours = {name: getattr(palette, name) for name in Palette.__slots__ if name != "dark"}
    return _TEMPLATE.substitute(
        colours,
        accent_hover=_mix(palette.accent, palette.text, 0.15),
        arrow_up=arrow_up,
        arrow_down=arrow_down,
        check=check,
    )
