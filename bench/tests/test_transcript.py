from natter_bench.recording import Message, Recording
from natter_bench.transcript import bot_text, latencies, latency_of, user_text


def recording(*messages):
    return Recording(messages=[Message(time_s, kind, data) for time_s, kind, data in messages])


def test_finals_and_new_segments_make_the_text():
    made = recording(
        (1, "user-transcription", {"text": "what is", "final": False}),
        (2, "user-transcription", {"text": "What is it?", "final": True}),
        (3, "bot-output", {"text": "It is ten.", "spoken_status": "new"}),
        (4, "bot-output", {"text": "It is ten.", "spoken_status": "completed"}),
        (9, "bot-output", {"text": "Later.", "spoken_status": "new"}),
    )
    assert user_text(made) == "What is it?"
    assert bot_text(made, before_s=8) == "It is ten."


def test_latency_rides_in_metrics():
    data = {"natter": {"turn": 2, "latency": {"total_ms": 5, "contributions": [{"name": "voice", "ms": 5}, "odd"]}}}
    made = recording((1, "metrics", {"ttfb": []}), (2, "metrics", data))
    (latency,) = latencies(made)
    assert (latency.turn, latency.total_ms, latency.contributions) == (2, 5.0, {"voice": 5.0})


def test_other_forms_are_passed_over():
    for data in (None, [], {}, {"natter": 1}, {"natter": {"latency": {}}}, {"natter": {"latency": {"total_ms": "1"}}}):
        assert latency_of(data) is None
