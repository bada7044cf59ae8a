import { TRY_FOR_MS } from "./reconnect";

/** What the page needs to come back to a conversation. */
export interface Session {
  /** `<session>.<secret>`, as `/start` gave it: whoever has it may come back. */
  readonly id: string;
  readonly iceServers: readonly RTCIceServer[];
  readonly bot: string | undefined;
  /** False: typing only. */
  readonly microphone: boolean;
}

/** A session as it outlives a reload of the page, in this tab alone. */
export interface SavedSession extends Session {
  readonly muted: boolean;
  /** When the gateway last answered, ms since 1970. */
  readonly aliveAt: number;
}

const KEY = "natter-session";

/** Keeps the session in `storage`, which a browser may refuse: then a reload ends the conversation, as it used to. */
export class SessionStore {
  constructor(private readonly storage: () => Storage) {}

  save(session: SavedSession): void {
    this.touch((storage) => storage.setItem(KEY, JSON.stringify(session)));
  }

  forget(): void {
    this.touch((storage) => storage.removeItem(KEY));
  }

  /** The session that was alive when the page was left, if it may still be. */
  load(nowMs: number): SavedSession | undefined {
    let text: string | null = null;
    this.touch((storage) => {
      text = storage.getItem(KEY);
    });
    const saved = text === null ? undefined : parse(text);
    // A clock that was put back must not make it live for ever.
    return saved && Math.abs(nowMs - saved.aliveAt) < TRY_FOR_MS ? saved : undefined;
  }

  private touch(use: (storage: Storage) => void): void {
    try {
      use(this.storage());
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
    }
  }
}

function parse(text: string): SavedSession | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { id, iceServers, bot, microphone, muted, aliveAt } = value as Record<string, unknown>;
  if (typeof id !== "string" || id === "" || typeof aliveAt !== "number") return undefined;
  return {
    id,
    iceServers: Array.isArray(iceServers) ? (iceServers as RTCIceServer[]) : [],
    bot: typeof bot === "string" ? bot : undefined,
    microphone: microphone === true,
    muted: muted === true,
    aliveAt,
  };
}
