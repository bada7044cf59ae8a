"""Whatever vad says and levels are: those behind the filter hear of whole utterances only."""

from hypothesis import given, settings
from hypothesis import strategies as st

from natter_gateway.echo import EchoFilter
from natter_proto import Speech, SpeechEvent

ONSET, RESUME = SpeechEvent.SPEECH_EVENT_ONSET, SpeechEvent.SPEECH_EVENT_RESUME
SPEECH, DIP, GOES_ON = SpeechEvent.SPEECH_EVENT_SPEECH, SpeechEvent.SPEECH_EVENT_DIP, SpeechEvent.SPEECH_EVENT_GOES_ON
PAUSE, FALSE_ONSET = SpeechEvent.SPEECH_EVENT_PAUSE, SpeechEvent.SPEECH_EVENT_FALSE_ONSET
ESTIMATE = SpeechEvent.SPEECH_EVENT_ESTIMATE

LEVELS = (-90.0, -60.0, -45.0, -40.0, -30.0, -20.0)
"""Few, so that mic and playout often go together."""


class Utterances:
    """What vad may say next."""

    def __init__(self) -> None:
        self._open = self._told = self._dip = False

    def next(self, choice: int) -> SpeechEvent:
        if not self._open:
            if choice == 3:
                return ESTIMATE
            self._open, self._told, self._dip = True, False, False
            return ONSET if choice % 2 else RESUME
        if choice == 0 and not self._told:
            self._told = True
            return SPEECH
        if choice == 1:
            self._dip = not self._dip
            return DIP if self._dip else GOES_ON
        if choice == 2:
            return ESTIMATE
        self._open = False
        return PAUSE if self._told else FALSE_ONSET


STEPS = st.tuples(
    st.sampled_from((*LEVELS, None)),
    st.one_of(st.sampled_from(LEVELS), st.integers(-40, -3)),
    st.one_of(st.none(), st.none(), st.none(), st.integers(0, 3)),
)
"""A level handed out; a mic level, or (negative integers) how much softer than what was handed out 6 slots ago."""


@settings(max_examples=80, deadline=None)
@given(st.lists(STEPS, min_size=30, max_size=150))
def test_every_onset_ends_once(steps: list[tuple[float | None, float | int, int | None]]) -> None:
    echo = EchoFilter()
    vad = Utterances()
    played: list[float] = []
    passed: list[Speech] = []
    for number, (out, mic, choice) in enumerate(steps):
        at_ms = 1_000.0 + number * 20
        if out is not None:
            echo.played(out, at_ms)
        played.append(-90.0 if out is None else out)
        level = mic if isinstance(mic, float) else played[max(0, number - 6)] + mic
        end_sample = (number + 1) * 320
        passed += echo.heard(level, end_sample, at_ms)
        if choice is not None:
            event = vad.next(choice)
            passed += echo.speech(
                Speech(event=event, sample=max(0, end_sample - 1_600), through_sample=end_sample), at_ms
            )
    is_open = told = False
    for report in passed:
        match report.event:
            case SpeechEvent.SPEECH_EVENT_ONSET | SpeechEvent.SPEECH_EVENT_RESUME:
                assert not is_open
                is_open, told = True, False
            case SpeechEvent.SPEECH_EVENT_SPEECH:
                assert is_open
                assert not told
                told = True
            case SpeechEvent.SPEECH_EVENT_PAUSE:
                assert is_open
                assert told
                is_open = False
            case SpeechEvent.SPEECH_EVENT_FALSE_ONSET:
                assert is_open
                assert not told
                is_open = False
            case SpeechEvent.SPEECH_EVENT_DIP | SpeechEvent.SPEECH_EVENT_GOES_ON:
                assert is_open
            case _:
                pass
