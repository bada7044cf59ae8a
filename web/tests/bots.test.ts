import { describe, expect, it } from "vitest";
import { defaultBot, parseBots } from "../src/bots/bots";

describe("parseBots", () => {
  it("reads a complete bot", () => {
    const [bot] = parseBots({
      bots: [
        {
          id: "guide",
          name: "Guide",
          description: "Shows around.",
          language: "en",
          default: true,
          greeting: "Hello!",
          stages: {
            tts: { provider: "local", model: "Hibari", note: "English" },
            vad: { provider: "local", detail: "Silero" },
          },
        },
      ],
    });
    expect(bot).toEqual({
      id: "guide",
      name: "Guide",
      description: "Shows around.",
      language: "en",
      isDefault: true,
      stages: [
        { name: "Turn-taking", uses: "Silero", note: undefined },
        { name: "Speaks with", uses: "Hibari", note: "English" },
      ],
    });
  });

  it("says once who does the work", () => {
    const usesOf = (stt: object) => parseBots({ bots: [{ id: "a", stages: { stt } }] })[0]?.stages[0]?.uses;
    expect(usesOf({ provider: "local", detail: "built-in Moonshine" })).toBe("Built-in Moonshine");
    expect(usesOf({ provider: "deepgram", model: "nova-3" })).toBe("Nova-3 · deepgram");
    expect(usesOf({ provider: "deepgram", detail: "Deepgram Nova 3" })).toBe("Deepgram Nova 3");
    expect(usesOf({ provider: "local" })).toBe("local");
  });

  it("makes up for what is missing, and leaves out what has no id", () => {
    const bots = parseBots({ bots: [{ id: "a" }, { name: "no id" }, null, "b", { id: "c", stages: { llm: null } }] });
    expect(bots.map((bot) => [bot.id, bot.name, bot.stages.length])).toEqual([
      ["a", "a", 0],
      ["c", "c", 0],
    ]);
  });

  it.each([null, undefined, [], "bots", { bots: {} }])("takes %j for no bots", (answer) => {
    expect(parseBots(answer)).toEqual([]);
  });
});

describe("defaultBot", () => {
  it("is the one marked so, else the first, else none", () => {
    const marked = parseBots({ bots: [{ id: "a" }, { id: "b", default: true }] });
    expect(defaultBot(marked)?.id).toBe("b");
    expect(defaultBot(parseBots({ bots: [{ id: "a" }, { id: "b" }] }))?.id).toBe("a");
    expect(defaultBot([])).toBeUndefined();
  });
});
