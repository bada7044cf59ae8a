import { type Message, type Piece, textOf } from "./messages";

/** A turn that is over, as the gateway's `GET /sessions/{id}/transcript` has it. */
export interface Turn {
  readonly number: number;
  /** What the caller said or typed; undefined where the bot spoke by itself. */
  readonly user: string | undefined;
  /** What the caller heard of the reply. */
  readonly bot: string | undefined;
}

export interface Parts {
  /** What the page showed when the connection was lost. */
  readonly kept: readonly Message[];
  /** The turns before the first that the new connection tells of; undefined as long as they have not been read. */
  readonly past: readonly Turn[] | undefined;
  /** What came over the connection there is: from the first turn that it tells of, whole. */
  readonly live: readonly Message[];
}

/** The turns of the gateway's answer, in order; what has another form is left out. */
export function parseTurns(answer: unknown): Turn[] {
  const { turns } = (answer ?? {}) as { turns?: unknown };
  if (!Array.isArray(turns)) return [];
  return turns
    .flatMap((item: unknown): Turn[] => {
      const { turn, user, bot } = (item ?? {}) as Record<string, unknown>;
      return typeof turn === "number" ? [{ number: turn, user: words(user), bot: words(bot) }] : [];
    })
    .sort((a, b) => a.number - b.number);
}

/**
 * The whole conversation, in order, nothing twice.
 *
 * The gateway knows best what was said in the turns that are over, so its words stand, in the form in which they were
 * shown already where they are the same. Until they have been read, what was shown stays, but for what the new
 * connection has told anew.
 */
export function whole({ kept, past, live }: Parts): Message[] {
  const before = past ? settled(past, kept) : withoutToldAnew(kept, live);
  return [...before.map((message) => ({ ...message, final: true })), ...live];
}

function settled(past: readonly Turn[], kept: readonly Message[]): Message[] {
  let from = 0;
  return past.flatMap(messagesOf).map((message) => {
    const place = kept.findIndex((shown, index) => index >= from && isSame(shown, message));
    const shown = kept[place];
    if (!shown) return message;
    from = place + 1;
    return shown;
  });
}

function messagesOf({ number, user, bot }: Turn): Message[] {
  return [messageOf("user", number, user), messageOf("bot", number, bot)].flatMap((message) => message ?? []);
}

function messageOf(role: Message["role"], turn: number, text: string | undefined): Message | undefined {
  return text === undefined
    ? undefined
    : { key: `turn ${turn} ${role}`, role, pieces: [{ text, kind: "settled" }], final: true };
}

/** Words that the bot wrote and did not say do not count: the gateway keeps what was heard. */
const isSame = (shown: Message, message: Message): boolean =>
  shown.role === message.role && plain(saidIn(shown)) === plain(textOf(message));

const saidIn = ({ pieces }: Message): string =>
  pieces.reduce((text, piece: Piece) => (piece.kind === "ahead" ? text : text + piece.text), "");

/** The most messages that a turn which goes on may have. */
const OF_A_TURN = 2;

/** Without the last messages if `live` begins with them, be it with more words or fewer. */
function withoutToldAnew(kept: readonly Message[], live: readonly Message[]): readonly Message[] {
  for (let count = Math.min(OF_A_TURN, kept.length, live.length); count > 0; count -= 1) {
    const tail = kept.slice(-count);
    if (tail.every((message, index) => isBeginning(message, live[index]))) return kept.slice(0, -count);
  }
  return kept;
}

function isBeginning(shown: Message, message: Message | undefined): boolean {
  if (!message || shown.role !== message.role) return false;
  const [a, b] = [plain(textOf(shown)), plain(textOf(message))];
  return a.startsWith(b) || b.startsWith(a);
}

const plain = (text: string): string => text.replace(/\s+/g, " ").trim();

function words(value: unknown): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
}
