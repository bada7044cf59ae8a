"""What the stages publish for a session, as it comes from NATS, for its conductor."""

from nats.aio.msg import Msg

from natter_common.metrics import Metrics
from natter_gateway.conductor.conductor import Conductor
from natter_proto import Fault, Reply, Report, Speech, Tool, Transcript, decode, decode_voice, last_token


class StageFrames:
    """Handlers of one session's subscriptions. Raise `BadFrameError`."""

    def __init__(self, conductor: Conductor, metrics: Metrics) -> None:
        self._conductor = conductor
        self._metrics = metrics

    async def on_report(self, message: Msg) -> None:
        match last_token(message.subject):
            case Report.SPEECH:
                self._conductor.on_speech(decode(Speech, message.data))
            case Report.TRANSCRIPT:
                self._conductor.on_transcript(decode(Transcript, message.data))
            case Report.REPLY:
                self._conductor.on_reply(decode(Reply, message.data))
            case Report.TOOL:
                self._conductor.on_tool(decode(Tool, message.data))
            case Report.FAULT:
                self._conductor.on_fault(decode(Fault, message.data))
            case unknown:
                self._metrics.drop(unknown, "unknown_report")

    async def on_voice(self, message: Msg) -> None:
        self._conductor.on_voice(decode_voice(message.data))
