/** When to try again to reach a conversation, and when to stop. Pure: times come in as milliseconds. */

/** Tried for so long, since the conversation was last known to be there. */
export const TRY_FOR_MS = 60_000;
/** From one failed attempt to the next, on average: many pages lose the same gateway at the same moment. */
const RETRY_AFTER_MS = 1_000;
const JITTER = 0.25;
/** An attempt that is not through by then is given up: a new one may find another way. */
const ATTEMPT_MS = 6_000;

/** Why the page is looking for its conversation. */
export type Reason =
  /** Pings are not answered. */
  | "silent"
  /** The browser says so. */
  | "failed"
  /** The server closed it. */
  | "left"
  /** The server wants another connection; the one there is goes on until then. */
  | "moving"
  /** The page was loaded again. */
  | "reloaded";

interface Search {
  readonly reason: Reason;
  /** Since when the conversation is out of reach, or another connection is wanted. */
  readonly since: number;
  /** Attempts so far, with the one under way. */
  readonly attempts: number;
}

export type LineState =
  | { readonly kind: "up" }
  | ({ readonly kind: "trying"; readonly startedAt: number } & Search)
  | ({ readonly kind: "waiting"; readonly until: number } & Search)
  /** The user may ask for more. */
  | { readonly kind: "given-up"; readonly reason: Reason }
  /** There is nothing to come back to. */
  | { readonly kind: "over"; readonly reason: Reason; readonly why: "ended" | "refused" };

export type LineEvent =
  | { readonly type: "lost"; readonly reason: "silent" | "failed" | "left" }
  | { readonly type: "renegotiate" }
  /** `aliveAt`: when the page that was here before last heard of the conversation. */
  | { readonly type: "reloaded"; readonly aliveAt: number }
  | { readonly type: "connected" }
  /** The attempt under way failed; without a status nobody answered. */
  | { readonly type: "failed"; readonly status?: number | undefined }
  | { readonly type: "online" }
  /** The user asks for it. */
  | { readonly type: "retry" }
  | { readonly type: "tick" };

export type LineAction =
  /** Close the connection that was in use. */
  | "drop-old"
  /** Close the attempt under way. */
  | "abandon"
  /** Begin an attempt, with a new client. */
  | "connect"
  /** Stop using the microphone: nobody listens. */
  | "release";

export interface Step {
  readonly state: LineState;
  readonly actions: readonly LineAction[];
}

/** When `tick` is wanted, if nothing comes before. */
export function deadlineOf(state: LineState): number | undefined {
  if (state.kind === "trying") return state.startedAt + ATTEMPT_MS;
  return state.kind === "waiting" ? state.until : undefined;
}

/** Takes one event. @param random 0 to 1, for the jitter */
export function step(state: LineState, event: LineEvent, nowMs: number, random: number): Step {
  switch (event.type) {
    case "lost":
      return lost(state, event.reason, nowMs);
    case "renegotiate":
      return state.kind === "up" ? { state: begin("moving", nowMs, nowMs), actions: ["connect"] } : same(state);
    case "reloaded":
      return { state: begin("reloaded", event.aliveAt, nowMs), actions: ["connect"] };
    case "connected":
      return state.kind === "trying" ? { state: { kind: "up" }, actions: ["drop-old"] } : same(state);
    case "failed":
      return state.kind === "trying" ? failed(state, event.status, nowMs, random) : same(state);
    case "online":
      if (state.kind === "waiting") return { state: again(state, nowMs), actions: ["connect"] };
      // What it asked while there was no network may never be answered.
      return state.kind === "trying" ? { state: again(state, nowMs), actions: ["abandon", "connect"] } : same(state);
    case "retry":
      return state.kind === "given-up"
        ? { state: begin(state.reason, nowMs, nowMs), actions: ["connect"] }
        : same(state);
    case "tick":
      return tick(state, nowMs, random);
  }
}

function lost(state: LineState, reason: Reason, nowMs: number): Step {
  if (state.kind === "up") return { state: begin(reason, nowMs, nowMs), actions: ["drop-old", "connect"] };
  // The connection that was to be left anyway has ended: now it is missed.
  if ((state.kind === "trying" || state.kind === "waiting") && state.reason === "moving") {
    return { state: { ...state, reason, since: nowMs }, actions: ["drop-old"] };
  }
  return same(state);
}

function failed(state: LineState & { kind: "trying" }, status: number | undefined, nowMs: number, random: number): Step {
  const { reason, since, attempts } = state;
  if (status !== undefined && status >= 400 && status < 500) {
    const why = status === 404 || status === 410 ? "ended" : "refused";
    return { state: { kind: "over", reason, why }, actions: ["abandon", "drop-old", "release"] };
  }
  const until = nowMs + RETRY_AFTER_MS * (1 + JITTER * (2 * random - 1));
  if (until - since > TRY_FOR_MS) {
    return { state: { kind: "given-up", reason }, actions: ["abandon", "drop-old", "release"] };
  }
  return { state: { kind: "waiting", reason, since, attempts, until }, actions: ["abandon"] };
}

function tick(state: LineState, nowMs: number, random: number): Step {
  const deadline = deadlineOf(state);
  if (deadline === undefined || nowMs < deadline) return same(state);
  if (state.kind === "trying") return failed(state, undefined, nowMs, random);
  return state.kind === "waiting" ? { state: again(state, nowMs), actions: ["connect"] } : same(state);
}

const same = (state: LineState): Step => ({ state, actions: [] });

const begin = (reason: Reason, since: number, nowMs: number): LineState => ({
  kind: "trying",
  reason,
  since,
  attempts: 1,
  startedAt: nowMs,
});

const again = ({ reason, since, attempts }: Search, nowMs: number): LineState => ({
  kind: "trying",
  reason,
  since,
  attempts: attempts + 1,
  startedAt: nowMs,
});
