"""What is heard and measured, as notes for the journal. Pure."""

from natter_gateway.journal.notes import HeardSoFar, Note, SegmentBegun, TurnAnswered
from natter_gateway.latency import TurnLatency
from natter_gateway.reply import ReplyNotice, SegmentHeard, SegmentShown, WordsHeard
from natter_gateway.turns.events import AttemptKey


def notes_of_reply(key: AttemptKey, notice: ReplyNotice) -> list[Note]:
    """The notes that news of a reply are."""
    match notice:
        case SegmentShown(segment_id, text, spoken):
            begun = SegmentBegun(key, segment_id, text)
            return [begun] if spoken else [begun, HeardSoFar(key, segment_id, text)]
        case WordsHeard(segment_id, heard, _, _):
            return [HeardSoFar(key, segment_id, heard)]
        case SegmentHeard(segment_id, text):
            return [HeardSoFar(key, segment_id, text)]
        case _:
            return []


def note_of_latency(latency: TurnLatency) -> TurnAnswered:
    """The note of a measured turn."""
    contributions_ms = tuple((mark.value, round(value, 1)) for mark, value in latency.contributions_ms.items())
    return TurnAnswered(latency.turn, round(latency.total_ms, 1), contributions_ms)
