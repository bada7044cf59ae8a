import { describe, expect, it } from "vitest";
import { levelOf } from "../src/controls/useAudioLevel";
import { latencyOf } from "../src/status/latency";
import { nextTurn, type Turn, type TurnEvent } from "../src/status/turnState";

const after = (...events: TurnEvent[]): Turn => events.reduce<Turn>(nextTurn, "listening");

describe("nextTurn", () => {
  it("follows a spoken turn", () => {
    expect(after("user-started-speaking")).toBe("listening");
    expect(after("user-started-speaking", "user-stopped-speaking")).toBe("thinking");
    expect(after("user-stopped-speaking", "bot-started-speaking")).toBe("speaking");
    expect(after("user-stopped-speaking", "bot-started-speaking", "bot-stopped-speaking")).toBe("listening");
  });

  it("listens as soon as the user interrupts", () => {
    expect(after("bot-started-speaking", "user-started-speaking", "bot-stopped-speaking")).toBe("listening");
  });

  it("keeps thinking about a typed message while the interrupted voice ends", () => {
    expect(after("bot-started-speaking", "user-text", "bot-stopped-speaking")).toBe("thinking");
  });

  it("stops thinking after an answer in writing, but not while its voice goes on", () => {
    expect(after("user-text", "bot-text-only")).toBe("listening");
    expect(after("bot-started-speaking", "bot-text-only")).toBe("speaking");
  });

  it("stops thinking when nothing comes", () => {
    expect(after("user-stopped-speaking", "thought-too-long")).toBe("listening");
    expect(after("bot-started-speaking", "thought-too-long")).toBe("speaking");
  });
});

describe("latencyOf", () => {
  it("finds the gateway's figure beside RTVI's own", () => {
    expect(latencyOf({ ttfb: [], natter: { latency: { total_ms: 641.7 } } })).toBe(641.7);
  });

  it.each([undefined, null, {}, { natter: 1 }, { natter: { latency: { total_ms: "1" } } }])("finds none in %j", (data) => {
    expect(latencyOf(data)).toBeUndefined();
  });
});

describe("levelOf", () => {
  it("goes from silence to loud", () => {
    expect(levelOf(new Float32Array(64))).toBe(0);
    expect(levelOf(new Float32Array())).toBe(0);
    expect(levelOf(new Float32Array(64).fill(0.02))).toBeCloseTo(0.53, 1);
    expect(levelOf(new Float32Array(64).fill(1))).toBe(1);
  });
});
