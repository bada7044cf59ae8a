import { RTVIEvent, TransportStartError } from "@pipecat-ai/client-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Call, CallEvents, CallOptions } from "../src/connection/call";
import { Conversations, type Surroundings } from "../src/connection/conversations";
import type { Microphone } from "../src/connection/microphone";
import { SessionStore } from "../src/connection/savedSession";

const SESSION = { id: "abc.secret", iceServers: [], bot: "friend", microphone: false };

/** A connection whose fate the test decides. */
class FakeCall {
  readonly handlers = new Map<RTVIEvent, (data?: unknown) => void>();
  readonly client = { on: (type: RTVIEvent, handler: (data?: unknown) => void) => this.handlers.set(type, handler) };
  hasLeft = false;
  hasFailed = false;
  saidGoodbye = false;
  answersPings = true;
  pings = 0;
  resumed: string | undefined;
  events: CallEvents | undefined;
  settle: { resolve(value: unknown): void; reject(error: unknown): void } | undefined;

  constructor(readonly microphone: Microphone) {}

  start(_options: CallOptions, events: CallEvents): Promise<unknown> {
    return this.begun(events);
  }
  resume({ id }: { id: string }, events: CallEvents): Promise<unknown> {
    this.resumed = id;
    return this.begun(events);
  }
  ping(): Promise<void> {
    this.pings += 1;
    return this.answersPings ? Promise.resolve() : new Promise(() => undefined);
  }
  drop(): Promise<void> {
    this.hasLeft = true;
    return Promise.resolve();
  }
  leave(): Promise<void> {
    this.saidGoodbye = !this.hasLeft;
    return this.drop();
  }
  tell(type: RTVIEvent, data?: unknown): void {
    this.handlers.get(type)?.(data);
  }
  private begun(events: CallEvents): Promise<unknown> {
    this.events = events;
    return new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
  }
}

class MemoryStorage {
  readonly items = new Map<string, string>();
  getItem = (key: string) => this.items.get(key) ?? null;
  setItem = (key: string, value: string) => void this.items.set(key, value);
  removeItem = (key: string) => void this.items.delete(key);
}

function page(storage = new MemoryStorage(), around: Partial<Surroundings> = {}) {
  const calls: FakeCall[] = [];
  const freed = vi.fn();
  const conversations = new Conversations({
    createCall: (microphone) => {
      const call = new FakeCall(microphone);
      calls.push(call);
      return call as unknown as Call;
    },
    store: new SessionStore(() => storage as unknown as Storage),
    own: () => Promise.resolve(freed),
    mayListen: () => Promise.resolve(true),
    ...around,
  });
  // As the page does: it hears a client's events once it has drawn it.
  conversations.subscribe(() => queueMicrotask(() => conversations.wired(conversations.snapshot.call)));
  const call = () => conversations.snapshot.call as unknown as FakeCall;
  const seen = () => conversations.snapshot;
  return { conversations, storage, calls, freed, call, seen };
}

async function live(storage?: MemoryStorage, around?: Partial<Surroundings>) {
  const made = page(storage, around);
  made.conversations.connect({ bot: "friend", microphone: false });
  made.call().settle?.resolve(SESSION);
  await vi.advanceTimersByTimeAsync(0);
  expect(made.seen().phase).toBe("live");
  return made;
}

const refusal = (status: number) =>
  Object.assign(new TransportStartError("refused"), { cause: new Response('{"detail":"gone"}', { status }) });

beforeEach(() => vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => vi.useRealTimers());

describe("Conversations", () => {
  it("notices within four seconds that nobody answers, and comes back with a new client and the same session", async () => {
    const { call, seen, calls } = await live();
    const first = call();
    await vi.advanceTimersByTimeAsync(10_000);
    expect([first.pings, seen().phase]).toEqual([10, "live"]);

    first.answersPings = false;
    await vi.advanceTimersByTimeAsync(3_499);
    expect(seen().phase).toBe("live");
    await vi.advanceTimersByTimeAsync(1);
    expect(seen()).toMatchObject({ phase: "reconnecting", line: { kind: "trying", reason: "silent" } });
    expect([first.hasLeft, first.saidGoodbye]).toEqual([true, false]);
    const second = call();
    expect(second).not.toBe(first);
    expect(second.resumed).toBe(SESSION.id);
    expect(second.microphone).toBe(first.microphone);

    second.settle?.resolve(true);
    await vi.advanceTimersByTimeAsync(5_000);
    expect([seen().phase, second.pings, calls.length]).toEqual(["live", 5, 2]);
  });

  it("tries until the server is back", async () => {
    const { call, seen, calls } = await live();
    call().events?.onFailed();
    for (let tries = 0; tries < 5; tries += 1) {
      await vi.advanceTimersByTimeAsync(0);
      call().settle?.reject(tries % 2 ? refusal(503) : new TransportStartError("Failed to fetch"));
      await vi.advanceTimersByTimeAsync(1_250);
    }
    expect([seen().phase, calls.length]).toEqual(["reconnecting", 7]);
    call().settle?.resolve(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(seen()).toMatchObject({ phase: "live", problem: undefined });
    expect(calls.filter((each) => !each.hasLeft)).toEqual([call()]);
  });

  it("says that the conversation is over when the server knows it no more", async () => {
    const { call, seen, storage, freed } = await live();
    call().tell(RTVIEvent.BotDisconnected);
    await vi.advanceTimersByTimeAsync(0);
    expect(seen()).toMatchObject({ phase: "reconnecting", line: { reason: "left" } });
    call().settle?.reject(refusal(404));
    await vi.advanceTimersByTimeAsync(0);
    expect(seen()).toMatchObject({ phase: "idle", problem: { kind: "bot-gone" }, session: undefined });
    expect([storage.items.size, freed.mock.calls.length]).toEqual([0, 1]);

    const other = await live();
    other.call().events?.onFailed();
    await vi.advanceTimersByTimeAsync(0);
    other.call().settle?.reject(refusal(410));
    await vi.advanceTimersByTimeAsync(0);
    expect(other.seen().problem?.kind).toBe("over");
  });

  it("says why it was refused", async () => {
    const { call, seen } = await live();
    call().events?.onFailed();
    await vi.advanceTimersByTimeAsync(0);
    call().settle?.reject(refusal(403));
    await vi.advanceTimersByTimeAsync(0);
    expect(seen()).toMatchObject({ phase: "idle", problem: { kind: "refused", advice: "Gone." } });
  });

  it("ends at once, with the server's words, when the server says so", async () => {
    const { call, seen, calls } = await live();
    call().tell(RTVIEvent.Error, { type: "error", data: { error: "Nobody spoke.", fatal: true } });
    call().tell(RTVIEvent.BotDisconnected);
    call().tell(RTVIEvent.Disconnected);
    await vi.advanceTimersByTimeAsync(0);
    expect(seen()).toMatchObject({ phase: "idle", problem: { advice: "Nobody spoke." } });
    expect(calls).toHaveLength(2);
  });

  it("offers a button after a minute", async () => {
    const { call, seen, conversations } = await live();
    const release = vi.spyOn(call().microphone, "release");
    call().answersPings = false;
    for (let passed = 0; passed < 70 && seen().phase !== "lost"; passed += 1) {
      await vi.advanceTimersByTimeAsync(1_000);
      if (seen().line.kind === "trying") call().settle?.reject(refusal(503));
    }
    expect(seen()).toMatchObject({ phase: "lost", problem: { kind: "lost" }, session: SESSION });
    expect(release).toHaveBeenCalled();
    conversations.retry();
    await vi.advanceTimersByTimeAsync(0);
    expect(seen()).toMatchObject({ phase: "reconnecting", problem: undefined });
    call().settle?.resolve(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(seen().phase).toBe("live");
  });

  it("lets the old connection play until the new one is there, when the server asks for another", async () => {
    const { call, seen } = await live();
    const first = call();
    first.events?.onMoving();
    await vi.advanceTimersByTimeAsync(0);
    call().settle?.reject(refusal(503));
    await vi.advanceTimersByTimeAsync(1_250);
    expect([first.hasLeft, seen().phase]).toEqual([false, "reconnecting"]);
    expect(first.pings).toBe(1);
    call().settle?.resolve(true);
    await vi.advanceTimersByTimeAsync(0);
    expect([first.hasLeft, seen().phase]).toEqual([true, "live"]);
    first.tell(RTVIEvent.Disconnected);
    expect(seen().phase).toBe("live");
  });

  it("tries at once when there is a network again", async () => {
    const { call, calls, conversations } = await live();
    call().events?.onFailed();
    await vi.advanceTimersByTimeAsync(0);
    conversations.online();
    await vi.advanceTimersByTimeAsync(0);
    expect(calls).toHaveLength(3);
    expect(calls.map((each) => each.hasLeft)).toEqual([true, true, false]);
  });

  it("can be left at any time, and says goodbye where somebody listens", async () => {
    const { call, seen, conversations, storage } = await live();
    const first = call();
    conversations.leave();
    expect([first.saidGoodbye, seen().phase, storage.items.size]).toEqual([true, "idle", 0]);

    const other = await live();
    other.call().events?.onFailed();
    await vi.advanceTimersByTimeAsync(0);
    const attempt = other.call();
    other.conversations.leave();
    attempt.settle?.resolve(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(other.seen().phase).toBe("idle");
    expect(other.calls).toHaveLength(3);

    const moving = await live();
    const old = moving.call();
    old.events?.onMoving();
    moving.conversations.leave();
    expect([old.saidGoodbye, moving.calls.filter((each) => !each.hasLeft)]).toEqual([true, [moving.call()]]);
  });

  it("does not look for a conversation that never began", async () => {
    const { conversations, call, seen, calls } = page();
    conversations.connect({ bot: undefined, microphone: false });
    call().settle?.reject(refusal(503));
    await vi.advanceTimersByTimeAsync(0);
    expect(seen()).toMatchObject({ phase: "idle", problem: { kind: "capacity" } });
    expect(calls).toHaveLength(2);
  });
});

describe("after a reload", () => {
  it("comes back at once", async () => {
    const { storage } = await live();
    await vi.advanceTimersByTimeAsync(5_000);
    const next = page(storage);
    await next.conversations.returnToSaved();
    await vi.advanceTimersByTimeAsync(0);
    expect(next.seen()).toMatchObject({ phase: "reconnecting", line: { reason: "reloaded" }, session: { bot: "friend" } });
    expect([next.call().resumed, next.call().microphone.isWanted]).toEqual([SESSION.id, false]);
    next.call().settle?.resolve(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(next.seen().phase).toBe("live");
  });

  it("stays muted", async () => {
    const { storage, call } = await live();
    call().microphone.enableMic(false);
    const next = page(storage);
    await next.conversations.returnToSaved();
    await vi.advanceTimersByTimeAsync(0);
    expect(next.call().microphone.isMuted).toBe(true);
  });

  it.each([
    ["it was left a minute ago", {}, 60_000],
    ["another tab has the conversation", { own: () => Promise.resolve(undefined) }, 0],
  ])("shows the start when %s", async (_why, around, later) => {
    const { storage, conversations } = await live();
    const text = storage.items.get("natter-session") ?? "";
    conversations.leave();
    storage.setItem("natter-session", text);
    await vi.advanceTimersByTimeAsync(later);
    const next = page(storage, around);
    await next.conversations.returnToSaved();
    expect(next.seen()).toMatchObject({ phase: "idle", session: undefined });
    expect(storage.items.size).toBe(0);
  });

  it("shows the start when the microphone would have to be asked for", async () => {
    const storage = new MemoryStorage();
    storage.setItem("natter-session", JSON.stringify({ ...SESSION, microphone: true, muted: false, aliveAt: Date.now() }));
    const next = page(storage, { mayListen: () => Promise.resolve(false) });
    await next.conversations.returnToSaved();
    expect(next.seen().phase).toBe("idle");
  });

  it.each(["", "{", "null", '{"id":1}', '{"id":"a.b","aliveAt":"now"}', '{"id":"a.b","aliveAt":99999999999999}'])(
    "passes over %j",
    async (text) => {
      const storage = new MemoryStorage();
      storage.setItem("natter-session", text);
      const next = page(storage);
      await next.conversations.returnToSaved();
      expect(next.seen().phase).toBe("idle");
    },
  );

  it("does without storage where the browser refuses it", async () => {
    const refused = () => {
      throw new DOMException("no", "SecurityError");
    };
    const store = new SessionStore(refused);
    const { seen } = await live(undefined, { store });
    expect(seen().phase).toBe("live");
    expect(store.load(0)).toBeUndefined();
  });
});
