import { RTVIEvent, type RTVIMessage } from "@pipecat-ai/client-js";
import type { Call, CallEvents, CallOptions } from "./call";
import { ANSWER_WITHIN_MS, answered, BEGINNING, isSilent, PING_EVERY_MS, pinged } from "./heartbeat";
import { Microphone } from "./microphone";
import {
  BOT_GONE,
  CONNECTION_LOST,
  CONVERSATION_OVER,
  microphoneProblem,
  type Problem,
  problemFrom,
  serverProblem,
  statusOf,
} from "./problem";
import { deadlineOf, type LineAction, type LineEvent, type LineState, step } from "./reconnect";
import type { SavedSession, Session, SessionStore } from "./savedSession";

export type Phase = "idle" | "connecting" | "live" | "reconnecting" | "lost";

export interface Snapshot {
  /** The connection in use or being made, or the one for the next conversation; its client is the page's. */
  readonly call: Call;
  readonly phase: Phase;
  readonly line: LineState;
  readonly problem: Problem | undefined;
  /** The conversation that goes on. */
  readonly session: Session | undefined;
}

/** What a `Conversations` needs of the browser. */
export interface Surroundings {
  readonly createCall: (microphone: Microphone) => Call;
  readonly store: SessionStore;
  /** Makes a conversation this tab's own; undefined when another has it. See `ownAlone`. */
  readonly own: (sessionId: string) => Promise<(() => void) | undefined>;
  /** Whether the microphone may be opened without a question. */
  readonly mayListen: () => Promise<boolean>;
}

/**
 * The page's conversations: one at a time, as many as wanted one after the other, each over as many connections as it
 * takes. The page draws `snapshot`, wires `snapshot.call.client` to itself, and says so with `wired`.
 */
export class Conversations {
  private current: Snapshot;
  private microphone = new Microphone();
  /** The connection that is to be replaced and plays on until then. */
  private old: Call | undefined;
  /** Waits for its client to be wired to the page. */
  private attempt: Call | undefined;
  /** Why the last attempt was not taken. */
  private refusal: Problem = CONNECTION_LOST;
  /** Of the connection in use. */
  private stopWatching = (): void => undefined;
  private free = (): void => undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly around: Surroundings) {
    this.current = { call: this.newCall(), phase: "idle", line: { kind: "up" }, problem: undefined, session: undefined };
  }

  get snapshot(): Snapshot {
    return this.current;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Begins a conversation. */
  connect(options: CallOptions): void {
    const { call } = this.current;
    this.show({ phase: "connecting", problem: undefined });
    call.start(options, this.eventsOf(call)).then(
      (session) => session && this.begin(call, session),
      async (error: unknown) => this.end(call, await problemFrom(error)),
    );
  }

  /** Comes back to the conversation that this tab had when the page was left, if that is what anyone would expect. */
  async returnToSaved(): Promise<void> {
    const saved = this.around.store.load(Date.now());
    const mayReturn = saved && (!saved.microphone || (await this.around.mayListen()));
    const free = mayReturn ? await this.around.own(saved.id) : undefined;
    if (!saved || !free || this.current.phase !== "idle") {
      free?.();
      // Unless the user was faster and began another.
      if (this.current.phase === "idle") this.around.store.forget();
      return;
    }
    this.free = free;
    this.microphone = new Microphone({ muted: saved.muted });
    this.microphone.isWanted = saved.microphone;
    this.show({ session: saved });
    this.handle({ type: "reloaded", aliveAt: saved.aliveAt });
  }

  /** Leaves the conversation. */
  leave(): void {
    this.end(this.current.call, undefined);
  }

  /** Tries again to come back, when that was given up. */
  retry(): void {
    this.show({ problem: undefined });
    this.handle({ type: "retry" });
  }

  /** There is a network again. */
  online(): void {
    this.handle({ type: "online" });
  }

  dismissProblem(): void {
    this.show({ problem: undefined });
  }

  /** The page hears the events of this call's client from now on. */
  wired(call: Call): void {
    const { session } = this.current;
    if (call !== this.attempt || !session) return;
    this.attempt = undefined;
    call.resume(session, this.eventsOf(call)).then(
      (ready) => {
        if (!ready || call !== this.current.call) return;
        this.handle({ type: "connected" });
        this.watch(call);
      },
      async (error: unknown) => {
        if (call.hasLeft || call !== this.current.call) return;
        this.refusal = await problemFrom(error);
        if (call === this.current.call) this.handle({ type: "failed", status: statusOf(error) });
      },
    );
  }

  private begin(call: Call, session: Session): void {
    if (call.hasLeft) return;
    this.show({ phase: "live", session });
    this.save();
    this.watch(call);
    // A conversation that nobody else can know of: what matters is to have it from now on.
    void this.around.own(session.id).then((free) => {
      if (this.current.session === session) this.free = free ?? this.free;
      else free?.();
    });
  }

  private end(call: Call, why: Problem | undefined): void {
    if (call !== this.current.call) return;
    clearTimeout(this.timer);
    this.stopWatching();
    void this.old?.leave();
    this.old = undefined;
    void call.leave();
    this.microphone.release();
    this.microphone = new Microphone();
    this.around.store.forget();
    this.free();
    this.free = () => undefined;
    this.attempt = undefined;
    this.show({ call: this.newCall(), phase: "idle", line: { kind: "up" }, problem: why, session: undefined });
  }

  // --- Finding the conversation again

  private handle(event: LineEvent): void {
    const { call, session, phase } = this.current;
    if ((phase === "idle" || phase === "connecting") && event.type !== "reloaded") return;
    // Without an address there is no way back.
    if (event.type === "lost" && session?.id === "") return this.end(call, CONNECTION_LOST);
    const { state, actions } = step(this.current.line, event, Date.now(), Math.random());
    this.wakeAt(deadlineOf(state));
    if (state === this.current.line) return;
    if (this.current.line.kind === "up" && event.type !== "reloaded") this.old = call;
    this.current = { ...this.current, line: state };
    for (const action of actions) this.act(action);
    this.shown(state);
  }

  private wakeAt(deadline: number | undefined): void {
    clearTimeout(this.timer);
    if (deadline === undefined) return;
    // Timers know whole milliseconds only, and must not be early.
    const delay = Math.max(0, Math.ceil(deadline - Date.now()));
    this.timer = setTimeout(() => this.handle({ type: "tick" }), delay);
  }

  private shown(line: LineState): void {
    switch (line.kind) {
      case "up":
        return this.show({ line, phase: "live" });
      case "trying":
      case "waiting":
        return this.show({ line, phase: "reconnecting" });
      case "given-up":
        return this.show({ line, phase: "lost", problem: CONNECTION_LOST });
      case "over": {
        const gone = line.reason === "left" ? BOT_GONE : CONVERSATION_OVER;
        return this.end(this.current.call, line.why === "ended" ? gone : this.refusal);
      }
    }
  }

  private act(action: LineAction): void {
    switch (action) {
      case "drop-old":
        return this.dropOld();
      case "abandon":
        this.attempt = undefined;
        void this.current.call.drop();
        return;
      case "release":
        return this.microphone.release();
      case "connect":
        this.attempt = this.newCall();
        return this.show({ call: this.attempt });
    }
  }

  private dropOld(): void {
    const { old } = this;
    this.old = undefined;
    if (!old) return;
    this.stopWatching();
    void old.drop();
  }

  // --- The connection in use

  private newCall(): Call {
    const call = this.around.createCall(this.microphone);
    const { client } = call;
    let reason: Problem | undefined;
    const isInUse = () => call === this.old || (call === this.current.call && this.current.phase === "live");

    client.on(RTVIEvent.Error, (message: RTVIMessage) => {
      // The client also tells about a failed start this way, with less than the exception that follows.
      if (message.type !== "error" || call.hasLeft) return;
      const heard = serverProblem(message.data);
      if (!heard.fatal) this.show({ problem: heard });
      else if (isInUse()) this.end(this.current.call, heard);
      else reason = heard;
    });
    client.on(RTVIEvent.BotDisconnected, () => isInUse() && this.handle({ type: "lost", reason: "left" }));
    client.on(RTVIEvent.Disconnected, () => {
      if (call.hasLeft) return;
      if (isInUse()) this.handle({ type: "lost", reason: "failed" });
      // While connecting, the exception from `call.start` tells more, unless the server gave a reason itself.
      else if (reason) this.end(call, reason);
    });
    client.on(RTVIEvent.DeviceError, (error) => {
      if (this.current.session && !call.hasLeft) this.show({ problem: microphoneProblem(error) });
    });
    return call;
  }

  private eventsOf(call: Call): CallEvents {
    const isInUse = () => !call.hasLeft && (call === this.old || call === this.current.call);
    return {
      onFailed: () => isInUse() && this.handle({ type: "lost", reason: "failed" }),
      onMoving: () => isInUse() && this.handle({ type: "renegotiate" }),
    };
  }

  /** Asks the gateway each second whether it is there. */
  private watch(call: Call): void {
    this.stopWatching();
    this.microphone.onMuted = () => this.save();
    let beat = BEGINNING;
    let check: ReturnType<typeof setTimeout> | undefined;
    const ping = () => {
      if (call.hasFailed) return this.handle({ type: "lost", reason: "failed" });
      beat = pinged(beat, Date.now());
      call.ping().then(
        () => {
          beat = answered(beat);
          if (!call.hasLeft) this.save();
        },
        () => undefined, // Not answered in time: `beat` knows.
      );
      check = setTimeout(() => {
        if (isSilent(beat, Date.now())) this.handle({ type: "lost", reason: "silent" });
      }, ANSWER_WITHIN_MS);
    };
    const interval = setInterval(ping, PING_EVERY_MS);
    this.stopWatching = () => {
      clearInterval(interval);
      clearTimeout(check);
      this.stopWatching = () => undefined;
    };
  }

  private save(): void {
    const { session } = this.current;
    if (!session || session.id === "") return;
    const { id, iceServers, bot, microphone } = session;
    const saved: SavedSession = { id, iceServers, bot, microphone, muted: this.microphone.isMuted, aliveAt: Date.now() };
    this.around.store.save(saved);
  }

  private show(change: Partial<Snapshot>): void {
    this.current = { ...this.current, ...change };
    for (const listener of this.listeners) listener();
  }
}
