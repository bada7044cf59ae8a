import { DeviceError, RTVIError } from "@pipecat-ai/client-js";
import { ClosedEarly, ReadyTimeout } from "./call";

export type ProblemKind =
  | "microphone"
  | "capacity"
  | "unreachable"
  | "refused"
  | "bot-gone"
  | "lost"
  | "over"
  | "server"
  | "notice";

/** Something that the user has to know, in their words, and what they can do about it. */
export interface Problem {
  readonly kind: ProblemKind;
  readonly title: string;
  readonly advice: string;
}

const MICROPHONE: Readonly<Record<string, readonly [title: string, advice: string]>> = {
  permissions: [
    "The microphone is blocked.",
    "Allow it for this page (the icon beside the address), then connect again.",
  ],
  "not-found": ["No microphone was found.", "Plug one in or switch it on, then connect again."],
  "in-use": ["The microphone is in use.", "Close the program that is using it, then connect again."],
  "undefined-mediadevices": [
    "The browser gives this page no microphone.",
    "Open it over https, or as localhost on the machine that runs it.",
  ],
};

const UNREACHABLE: Problem = {
  kind: "unreachable",
  title: "The server can't be reached.",
  advice: "Check that it is running and that you are online, then connect again.",
};

export const CONNECTION_LOST: Problem = {
  kind: "lost",
  title: "The connection was lost and could not be restored.",
  advice: "Check your network, then try again.",
};

export const CONVERSATION_OVER: Problem = {
  kind: "over",
  title: "The conversation is over: it could not wait any longer.",
  advice: "Connect again to start a new one.",
};

export const BOT_GONE: Problem = {
  kind: "bot-gone",
  title: "The bot has ended the conversation.",
  advice: "Connect again to start a new one.",
};

const NOT_READY: Problem = {
  kind: "server",
  title: "The bot did not get ready in time.",
  advice: "Try again in a moment, or pick another bot.",
};

const CLOSED_EARLY: Problem = {
  kind: "server",
  title: "The connection was closed before the bot was ready.",
  advice: "Try again in a moment.",
};

/** What `fetch` says, by browser, when no answer came at all; the client's timeout; all without a status of their own. */
const NO_ANSWER = /failed to fetch|networkerror|load failed|network request failed|timed out/i;

/** Why a conversation could not be started. Reads the answer's `detail` where the server gave one. */
export async function problemFrom(error: unknown): Promise<Problem> {
  if (error instanceof DeviceError) return microphoneProblem(error);
  if (error instanceof ReadyTimeout) return NOT_READY;
  if (error instanceof ClosedEarly) return CLOSED_EARLY;
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Response) return statusProblem(cause.status, await detailOf(cause));
  const message = [error, cause].map((each) => (each instanceof Error ? each.message : "")).join(" ");
  if (NO_ANSWER.test(message)) return UNREACHABLE;
  if (error instanceof RTVIError && error.status !== undefined) return statusProblem(error.status, error.message);
  return { kind: "server", title: "The conversation could not be started.", advice: sentence(message) };
}

/** The HTTP status with which a server refused an offer; undefined when nobody answered. */
export function statusOf(error: unknown): number | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Response ? cause.status : undefined;
}

export function microphoneProblem(error: DeviceError): Problem {
  const known = MICROPHONE[error.type];
  if (known) return { kind: "microphone", title: known[0], advice: known[1] };
  return { kind: "microphone", title: "The microphone could not be opened.", advice: sentence(error.message) };
}

/** What the server says in an `error` message; a fatal one ends the conversation. */
export function serverProblem(data: unknown): Problem & { readonly fatal: boolean } {
  const { error, message, fatal } = (data ?? {}) as Record<string, unknown>;
  const text = [error, message].find((each) => typeof each === "string" && each !== "");
  const isFatal = fatal === true;
  return {
    kind: isFatal ? "server" : "notice",
    fatal: isFatal,
    title: isFatal ? "The server ended the conversation." : "Something went wrong.",
    advice: sentence(typeof text === "string" ? text : ""),
  };
}

function statusProblem(status: number, detail: string): Problem {
  if (status === 503 || status === 429) {
    return {
      kind: "capacity",
      title: "There is no room for another conversation right now.",
      advice: `${sentence(detail)} Try again in a moment.`.trim(),
    };
  }
  if (status === 502 || status === 504) return UNREACHABLE;
  if (status >= 400 && status < 500) {
    return { kind: "refused", title: "The server refused the conversation.", advice: sentence(detail) };
  }
  return { kind: "server", title: "The server failed to start the conversation.", advice: sentence(detail) };
}

async function detailOf(response: Response): Promise<string> {
  try {
    const { detail } = (await response.clone().json()) as { detail?: unknown };
    return typeof detail === "string" ? detail : "";
  } catch (error) {
    // Not JSON, or read already: the status says enough.
    if (error instanceof SyntaxError || error instanceof TypeError) return "";
    throw error;
  }
}

function sentence(text: string): string {
  const trimmed = text.trim().slice(0, 300);
  if (trimmed === "" || trimmed.includes("[object")) return "";
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`;
}
