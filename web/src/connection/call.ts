import { type Participant, PipecatClient, RTVIEvent } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";
import { Microphone } from "./microphone";
import { botTrackOf, replaceMicrophone } from "./peerConnection";

/** The gateway starts sessions here; the transport derives the address of the offer from it. */
const START_ENDPOINT = "/start";
/** Starting takes the leases of all stages; the gateway answers or refuses well before. */
const START_TIMEOUT_MS = 15_000;
/** From the session's start to the bot's "ready"; covers the transport's three attempts at an offer. */
const READY_TIMEOUT_MS = 30_000;

export interface CallOptions {
  /** Id of the bot; undefined: the server's default. */
  readonly bot: string | undefined;
  /** False: typing only. */
  readonly microphone: boolean;
}

/** The bot did not get ready in time. */
export class ReadyTimeout extends Error {}
/** The line closed before the bot was ready, and nobody said why. */
export class ClosedEarly extends Error {}

/**
 * One conversation: a client, its transport and its microphone.
 *
 * Each conversation gets new ones. A client that is left in the middle of connecting still has requests and timers
 * on their way, which would act on the next conversation if it used the same client.
 */
export class Call {
  readonly client: PipecatClient;
  readonly transport: SmallWebRTCTransport;
  readonly microphone: Microphone;
  private useMicrophone = true;
  private readonly left = new AbortController();

  constructor() {
    this.microphone = new Microphone(() => this.useMicrophone);
    this.transport = new SmallWebRTCTransport({ mediaManager: this.microphone });
    this.microphone.onReplaced = (track) => void replaceMicrophone(this.transport, track);
    this.client = new PipecatClient({ transport: this.transport, enableMic: true, enableCam: false });
    this.client.on(RTVIEvent.TrackStopped, this.announceNewBotTrack);
  }

  /**
   * Connects; true when the bot is ready, false when the user left before. Throws `DeviceError` without a microphone,
   * `StartBotError` and `TransportStartError` when the server refuses or is away, `ReadyTimeout`, `ClosedEarly`.
   */
  async start({ bot, microphone }: CallOptions): Promise<boolean> {
    this.useMicrophone = microphone;
    await this.client.initDevices();
    if (this.hasLeft) return false;
    const session = await this.client.startBot({
      endpoint: START_ENDPOINT,
      requestData: { body: bot === undefined ? {} : { bot } },
      timeout: START_TIMEOUT_MS,
    });
    if (this.hasLeft) return false;
    await this.connect(session);
    return !this.hasLeft;
  }

  get hasLeft(): boolean {
    return this.left.signal.aborted;
  }

  /** Ends the conversation and closes the microphone. Never throws; a second call does nothing. */
  async leave(): Promise<void> {
    if (this.hasLeft) return;
    this.left.abort();
    try {
      await this.client.disconnect();
    } finally {
      // The transport closes the microphone only if there was a peer connection.
      this.microphone.release();
    }
  }

  /**
   * After a reconnection the transport takes the end of the old peer connection's track for the end of the new one's,
   * and never says that this one started: the bot would be silent for the rest of the call.
   */
  private readonly announceNewBotTrack = (stopped: MediaStreamTrack, participant?: Participant): void => {
    if (participant?.local || stopped.kind !== "audio") return;
    const track = botTrackOf(this.transport);
    if (track && track !== stopped && track.readyState === "live") this.client.emit(RTVIEvent.TrackStarted, track);
  };

  /** The client's own promise never settles when the line closes before the bot is ready, or the bot says nothing. */
  private async connect(session: unknown): Promise<void> {
    let timer: number | undefined;
    let closed = (): void => undefined;
    const over = new Promise<void>((resolve, reject) => {
      timer = window.setTimeout(() => reject(new ReadyTimeout()), READY_TIMEOUT_MS);
      // One turn of the event loop later: the client's own rejection, which has the reason, goes first.
      closed = () => void setTimeout(() => reject(new ClosedEarly()), 0);
      this.left.signal.addEventListener("abort", () => resolve());
    });
    this.client.on(RTVIEvent.Disconnected, closed);
    try {
      await Promise.race([this.client.connect(session), over]);
    } finally {
      window.clearTimeout(timer);
      this.client.off(RTVIEvent.Disconnected, closed);
    }
  }
}
