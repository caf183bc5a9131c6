"""Progress, and what an interrupt does."""

from __future__ import annotations

import signal

import pytest

from app.cli.attend import attend
from app.cli.display import PLAIN_INTERVAL, PlainDisplay, RunFigures
from app.domain.errors import Conflict, Unavailable

FIGURES = RunFigures("sending orders", 10, 4, 2, 1, 0, 1)


class Run:
    """A run that ends after so many looks, or when it was cancelled; ``answers`` are what cancelling it raises."""

    def __init__(self, looks: int, interrupt_at: int = -1, answers: tuple[Exception | None, ...] = (None,)) -> None:
        self.cancels = 0
        self._looks = looks
        self._interrupt_at = interrupt_at
        self._answers = answers
        self._ended = False

    def wait(self, seconds: float) -> bool:
        if self._looks == self._interrupt_at:
            signal.raise_signal(signal.SIGINT)
        self._looks -= 1
        return self._ended or self._looks < 0

    def figures(self) -> RunFigures:
        return FIGURES

    def cancel(self) -> None:
        answer = self._answers[self.cancels]
        self.cancels += 1
        if answer is not None:
            raise answer
        self._ended = True


class Shown:
    def __init__(self) -> None:
        self.figures: list[RunFigures] = []

    def show(self, figures: RunFigures) -> None:
        self.figures.append(figures)

    def abandon(self) -> None:
        raise AssertionError("nobody asked twice")


def unexpected() -> None:
    raise AssertionError("nobody asked twice")


def test_progress_is_shown_until_the_run_ends() -> None:
    run, shown = Run(looks=3), Shown()
    attend(run, shown, unexpected)
    assert (shown.figures, run.cancels) == ([FIGURES] * 3, 0)


@pytest.mark.parametrize(
    ("answers", "cancels"),
    [((None,), 1), ((Unavailable("away"), Unavailable("away"), None), 3), ((Conflict("it has ended"),), 1)],
)
def test_an_interrupt_cancels_once_the_run_takes_note(
    answers: tuple[Exception | None, ...], cancels: int, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    run = Run(looks=5, interrupt_at=4, answers=answers)
    attend(run, Shown(), unexpected)
    assert run.cancels == cancels
    assert capsys.readouterr().err.count("cancelling: ") == 1
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_plain_display_writes_when_the_phase_changes_and_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    display = PlainDisplay()
    for phase, seconds in (("a", 0.0), ("a", 1.0), ("b", 1.0), ("b", PLAIN_INTERVAL - 0.5), ("b", 1.0)):
        now += seconds
        display.show(RunFigures(phase, 10, 4, 2, 1, 0, 1))
    assert [line.split("s  ")[1] for line in capsys.readouterr().err.splitlines()] == [
        f"{phase}: 4 sent, 2 done, 1 failed, 1 jobs queued of 10 orders" for phase in ("a", "b", "b")
    ]
