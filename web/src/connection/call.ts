import { DeviceError, PipecatClient, RTVIEvent } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";
import type { Microphone } from "./microphone";
import { hasFailed, offerOnce, replaceMicrophone, takeOverReconnecting } from "./peerConnection";
import type { Session } from "./savedSession";

/** The gateway starts sessions here; the transport derives the address of the offer from it. */
const START_ENDPOINT = "/start";
/** Starting takes the leases of all stages; the gateway answers or refuses well before. */
const START_TIMEOUT_MS = 15_000;
/** From the session's start to the bot's "ready"; covers the transport's three attempts at an offer. */
const READY_TIMEOUT_MS = 30_000;
/** The gateway's own message: whether it is there. */
const PING = "natter-ping";
/** Longer than any answer is waited for; the client forgets about the request then. */
const PING_TIMEOUT_MS = 5_000;

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

/** What a connection that was ready tells of its end. */
export interface CallEvents {
  onFailed(): void;
  /** The server wants another connection. */
  onMoving(): void;
}

/**
 * One connection to a conversation: a client and its transport. The microphone is the conversation's.
 *
 * Each connection gets new ones. A client that is left in the middle of connecting still has requests and timers
 * on their way, which would act on the next connection if it used the same client.
 */
export class Call {
  readonly client: PipecatClient;
  private readonly transport: SmallWebRTCTransport;
  private readonly left = new AbortController();

  constructor(readonly microphone: Microphone) {
    this.transport = new SmallWebRTCTransport({ mediaManager: microphone });
    microphone.onReplaced = (track) => void replaceMicrophone(this.transport, track);
    this.client = new PipecatClient({
      transport: this.transport,
      enableMic: !microphone.isMuted,
      enableCam: false,
      disconnectOnBotDisconnect: false,
    });
  }

  /**
   * Begins a conversation; resolves when the bot is ready, with undefined when the user left before. Throws
   * `DeviceError` without a microphone, `StartBotError` and `TransportStartError` when the server refuses or is away,
   * `ReadyTimeout`, `ClosedEarly`.
   */
  async start({ bot, microphone }: CallOptions, events: CallEvents): Promise<Session | undefined> {
    this.microphone.isWanted = microphone;
    await this.client.initDevices();
    if (this.hasLeft) return undefined;
    const started = await this.client.startBot({
      endpoint: START_ENDPOINT,
      requestData: { body: bot === undefined ? {} : { bot } },
      timeout: START_TIMEOUT_MS,
    });
    if (this.hasLeft) return undefined;
    await this.connect(started, events);
    return this.hasLeft ? undefined : { ...addressOf(started), bot, microphone };
  }

  /**
   * Comes back to a conversation; true when the bot is ready, false when the user left before. One attempt: throws
   * `TransportStartError`, whose cause is the server's answer, if there was one; `ReadyTimeout`, `ClosedEarly`.
   */
  async resume({ id, iceServers }: Session, events: CallEvents): Promise<boolean> {
    try {
      await this.client.initDevices();
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      // The client has reported it. The conversation goes on, by typing.
      this.microphone.isWanted = false;
    }
    if (this.hasLeft) return false;
    offerOnce(this.transport);
    const webrtcRequestParams = { endpoint: `/sessions/${encodeURIComponent(id)}/api/offer` };
    await this.connect({ webrtcRequestParams, iceConfig: { iceServers } }, events);
    return !this.hasLeft;
  }

  /** Resolves when the gateway answers; rejects or never settles when it does not. */
  async ping(): Promise<void> {
    await this.client.sendClientRequest(PING, {}, PING_TIMEOUT_MS);
  }

  /** Whether the browser has given the connection up. */
  get hasFailed(): boolean {
    return hasFailed(this.transport);
  }

  get hasLeft(): boolean {
    return this.left.signal.aborted;
  }

  /** Closes the connection; the conversation may go on over another. Never throws; a second call does nothing. */
  async drop(): Promise<void> {
    if (this.hasLeft) return;
    this.left.abort();
    await this.client.disconnect();
  }

  /** Ends the conversation, and says so. */
  async leave(): Promise<void> {
    if (!this.hasLeft && this.client.state === "ready") this.client.disconnectBot();
    await this.drop();
  }

  /** The client's own promise never settles when the line closes before the bot is ready, or the bot says nothing. */
  private async connect(session: unknown, events: CallEvents): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let closed = (): void => undefined;
    const over = new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new ReadyTimeout()), READY_TIMEOUT_MS);
      // One turn of the event loop later: the client's own rejection, which has the reason, goes first.
      closed = () => void setTimeout(() => reject(new ClosedEarly()), 0);
      this.left.signal.addEventListener("abort", () => resolve());
    });
    this.client.on(RTVIEvent.Disconnected, closed);
    try {
      await Promise.race([this.client.connect(session), over]);
    } finally {
      clearTimeout(timer);
      this.client.off(RTVIEvent.Disconnected, closed);
    }
    takeOverReconnecting(this.transport, events.onFailed, events.onMoving);
  }
}

function addressOf(started: unknown): Pick<Session, "id" | "iceServers"> {
  const { sessionId, iceConfig } = (started ?? {}) as { sessionId?: unknown; iceConfig?: { iceServers?: unknown } };
  const iceServers = iceConfig?.iceServers;
  return {
    id: typeof sessionId === "string" ? sessionId : "",
    iceServers: Array.isArray(iceServers) ? (iceServers as RTCIceServer[]) : [],
  };
}
