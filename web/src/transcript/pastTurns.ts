import { parseTurns, type Turn } from "./whole";

const TIMEOUT_MS = 5_000;
const TRIES = 5;
const RETRY_AFTER_MS = 1_000;

/** The first turn that a connection tells of, as the gateway's `bot-ready` says; undefined where it does not. */
export function firstTurnOf(botReady: unknown): number | undefined {
  const { natter } = (botReady ?? {}) as { natter?: unknown };
  const { first_turn: firstTurn } = (natter ?? {}) as { first_turn?: unknown };
  return typeof firstTurn === "number" ? firstTurn : undefined;
}

/**
 * Reads the turns before `firstTurn`. They are over, so it does not matter when they are read.
 *
 * @returns undefined when they could not be read, in all tries
 */
export async function readPastTurns(
  sessionId: string,
  firstTurn: number,
  signal: AbortSignal,
): Promise<Turn[] | undefined> {
  for (let left = TRIES; left > 0 && !signal.aborted; left -= 1) {
    const turns = await fetchTurns(sessionId, AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]));
    if (turns) return turns.filter(({ number }) => number < firstTurn);
    await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS));
  }
  return undefined;
}

async function fetchTurns(sessionId: string, signal: AbortSignal): Promise<Turn[] | undefined> {
  try {
    const answer = await fetch(`/sessions/${encodeURIComponent(sessionId)}/transcript`, { signal });
    return answer.ok ? parseTurns(await answer.json()) : undefined;
  } catch (error) {
    // No answer, one that broke off or is no JSON, or it took too long.
    if (error instanceof TypeError || error instanceof SyntaxError || error instanceof DOMException) return undefined;
    throw error;
  }
}
