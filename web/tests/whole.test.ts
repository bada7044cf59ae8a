import { afterEach, describe, expect, it, vi } from "vitest";
import { type Message, type Piece, textOf } from "../src/transcript/messages";
import { firstTurnOf, readPastTurns } from "../src/transcript/pastTurns";
import { parseTurns, type Turn, whole } from "../src/transcript/whole";

let keys = 0;
const said = (role: Message["role"], text: string, rest: Partial<Message> = {}, ahead = ""): Message => {
  keys += 1;
  const pieces: Piece[] = [{ text, kind: "settled" }];
  if (ahead) pieces.push({ text: ahead, kind: "ahead" });
  return { key: `shown ${keys}`, role, pieces, final: true, ...rest };
};
const user = (text: string, rest?: Partial<Message>) => said("user", text, rest);
const bot = (text: string, ahead = "", rest?: Partial<Message>) => said("bot", text, rest, ahead);
const turn = (number: number, ofUser?: string, ofBot?: string): Turn => ({ number, user: ofUser, bot: ofBot });
const lines = (messages: readonly Message[]) => messages.map((message) => `${message.role}: ${textOf(message)}`);

describe("whole", () => {
  it("is what came over the first connection, as long as there is no other", () => {
    const live = [user("Hi", { final: false })];
    expect(whole({ kept: [], past: undefined, live })).toEqual(live);
  });

  it("keeps what was shown until the rest has been read", () => {
    const kept = [user("Hi"), bot("Hello.", "", { final: false })];
    const messages = whole({ kept, past: undefined, live: [] });
    expect(lines(messages)).toEqual(["user: Hi", "bot: Hello."]);
    expect(messages.map((message) => message.final)).toEqual([true, true]);
  });

  it("adds what was said meanwhile, in its place", () => {
    const kept = [bot("Welcome."), user("Hi"), bot("Hello.")];
    const past = [turn(1, undefined, "Welcome."), turn(2, "Hi", "Hello."), turn(3, "Are you there?", "I am.")];
    const messages = whole({ kept, past, live: [user("Good")] });
    expect(lines(messages)).toEqual([
      "bot: Welcome.",
      "user: Hi",
      "bot: Hello.",
      "user: Are you there?",
      "bot: I am.",
      "user: Good",
    ]);
    expect(new Set(messages.map((message) => message.key)).size).toBe(6);
  });

  it("shows the same words in the form they had, with what was never heard", () => {
    const kept = [user("Tell me"), bot("Once upon", " a time")];
    const messages = whole({ kept, past: [turn(1, "Tell me", "Once upon")], live: [] });
    expect(messages).toEqual(kept);
  });

  it("lets the gateway's words stand where they differ", () => {
    const kept = [user("What's the", { final: false })];
    const messages = whole({ kept, past: [turn(1, "What's the time?", "Ten.")], live: [] });
    expect(lines(messages)).toEqual(["user: What's the time?", "bot: Ten."]);
  });

  it("drops what was shown and taken back", () => {
    const kept = [user("Well"), bot("Yes", "?")];
    expect(lines(whole({ kept, past: [], live: [user("Well, I think")] }))).toEqual(["user: Well, I think"]);
  });

  it("does not show a reply twice that goes on over the new connection", () => {
    const kept = [user("Hi"), bot("Hello."), user("The time?"), bot("It is", " ten.", { final: false })];
    const live = [user("The time?"), bot("It is ten.", " Time to go.", { final: false })];
    const early = whole({ kept, past: undefined, live });
    const late = whole({ kept, past: [turn(1, "Hi", "Hello.")], live });
    expect(lines(early)).toEqual(["user: Hi", "bot: Hello.", "user: The time?", "bot: It is ten. Time to go."]);
    expect(late).toEqual(early);
    expect(late.at(-1)?.final).toBe(false);
  });

  it("does not show the caller's open turn twice", () => {
    const kept = [bot("Welcome."), user("What is", { final: false })];
    const live = [user("What is a voice", { final: false })];
    expect(lines(whole({ kept, past: undefined, live }))).toEqual(["bot: Welcome.", "user: What is a voice"]);
  });

  it("tells the same words apart that were said twice", () => {
    const kept = [user("Yes"), bot("Sure?"), user("Yes"), bot("Good.")];
    const past = [turn(1, "Yes", "Sure?"), turn(2, "Yes", "Good."), turn(3, "Yes", "Good.")];
    const messages = whole({ kept, past, live: [] });
    expect(lines(messages)).toEqual(past.flatMap((each) => [`user: ${each.user}`, `bot: ${each.bot}`]));
    expect(messages.slice(0, 4)).toEqual(kept);
    expect(new Set(messages.map((message) => message.key)).size).toBe(6);
  });

  it("is whole whenever the past arrives, whatever comes meanwhile, also over many connections", () => {
    const script = Array.from({ length: 9 }, (_, index) => turn(index + 1, `question ${index + 1}`, `answer ${index + 1}`));
    const liveOf = (first: number, through: number) =>
      script.slice(first - 1, through).flatMap((each) => [user(each.user ?? ""), bot(each.bot ?? "")]);
    let kept: Message[] = [];
    // The connection is lost behind turns 2, 5 and 6; each time a turn goes on meanwhile, or two.
    for (const [first, through] of [[1, 2], [4, 5], [6, 6], [9, 9]] as const) {
      const live = liveOf(first, through);
      const past = script.filter(({ number }) => number < first);
      const before = kept;
      for (let come = 0; come <= live.length; come += 1) {
        const messages = lines(whole({ kept: before, past, live: live.slice(0, come) }));
        expect(messages).toEqual(lines(liveOf(1, first - 1)).concat(lines(live.slice(0, come))));
      }
      kept = whole({ kept, past, live });
      expect(new Set(kept.map((message) => message.key)).size).toBe(kept.length);
    }
    expect(lines(kept)).toEqual(lines(liveOf(1, 9)));
  });
});

describe("parseTurns", () => {
  it("reads the gateway's answer in order, without what it is not sure of", () => {
    const turns = [{ turn: 2, user: "Hi", bot: " Hello. ", tools: [] }, { turn: 1, user: null, bot: "Welcome." }, null, { turn: "3" }];
    expect(parseTurns({ turns })).toEqual([turn(1, undefined, "Welcome."), turn(2, "Hi", "Hello.")]);
  });

  it.each([null, undefined, [], "", { turns: 1 }])("finds none in %j", (answer) => {
    expect(parseTurns(answer)).toEqual([]);
  });
});

describe("firstTurnOf", () => {
  it("reads what the gateway adds to bot-ready", () => {
    expect(firstTurnOf({ version: "2.1.0", natter: { first_turn: 3 } })).toBe(3);
    for (const other of [undefined, null, {}, { natter: null }, { natter: { first_turn: "3" } }]) {
      expect(firstTurnOf(other)).toBeUndefined();
    }
  });
});

describe("readPastTurns", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  const answer = (...numbers: number[]) =>
    new Response(JSON.stringify({ turns: numbers.map((number) => ({ turn: number, user: "Hi", bot: null })) }));

  it("leaves out the turns that the connection tells of", async () => {
    const fetched = vi.fn(() => Promise.resolve(answer(1, 2, 3)));
    vi.stubGlobal("fetch", fetched);
    const turns = await readPastTurns("abc.secret", 3, new AbortController().signal);
    expect(turns?.map(({ number }) => number)).toEqual([1, 2]);
    expect(fetched).toHaveBeenCalledWith("/sessions/abc.secret/transcript", expect.anything());
  });

  it("asks again when there is no answer, and gives up in the end", async () => {
    vi.useFakeTimers();
    const refused = () => Promise.resolve(new Response("", { status: 503 }));
    const away = () => Promise.reject(new TypeError("Failed to fetch"));
    const fetched = vi.fn().mockImplementationOnce(refused).mockImplementationOnce(away).mockResolvedValueOnce(answer(1));
    vi.stubGlobal("fetch", fetched);
    const reading = readPastTurns("abc", 2, new AbortController().signal);
    await vi.runAllTimersAsync();
    expect((await reading)?.length).toBe(1);

    fetched.mockImplementation(away);
    const failing = readPastTurns("abc", 2, new AbortController().signal);
    await vi.runAllTimersAsync();
    expect(await failing).toBeUndefined();
    expect(fetched).toHaveBeenCalledTimes(3 + 5);
  });
});
