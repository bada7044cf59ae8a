/** How often the page asks the gateway whether it is there. */
export const PING_EVERY_MS = 1_000;
/** So many pings in a row without an answer: the connection is gone. */
const MISSED_PINGS = 3;
/** The last of them has this long; those before had more than a second, so that a slow network is not taken for none. */
export const ANSWER_WITHIN_MS = 500;

/** The pings of one connection since the last answer. */
export interface Heartbeat {
  readonly unanswered: number;
  /** When the newest was sent, ms. */
  readonly pingedAt: number;
}

export const BEGINNING: Heartbeat = { unanswered: 0, pingedAt: 0 };

export const pinged = (beat: Heartbeat, nowMs: number): Heartbeat => ({
  unanswered: beat.unanswered + 1,
  pingedAt: nowMs,
});

/** Whichever ping it answers: the gateway is there. */
export const answered = (beat: Heartbeat): Heartbeat => ({ ...beat, unanswered: 0 });

/** Counts pings, not time: a computer that slept has asked nobody. */
export const isSilent = (beat: Heartbeat, nowMs: number): boolean =>
  beat.unanswered >= MISSED_PINGS && nowMs - beat.pingedAt >= ANSWER_WITHIN_MS;
