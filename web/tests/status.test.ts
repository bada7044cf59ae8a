import { describe, expect, it } from "vitest";
import { levelOf } from "../src/controls/useAudioLevel";
import { describe as describeLatency, latencyOf } from "../src/status/latency";
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
  const contributions = [
    { name: "endpointing", ms: 200, hidden_ms: 0 },
    { name: "model", ms: 145.2, hidden_ms: 104.8 },
    { name: "text", ms: 0, hidden_ms: 0 },
    { name: "voice", ms: 120, hidden_ms: 30 },
  ];

  it("finds the gateway's figure beside RTVI's own", () => {
    expect(latencyOf({ ttfb: [], natter: { latency: { total_ms: 641.7 } } })?.totalMs).toBe(641.7);
  });

  it("adds up what was hidden", () => {
    const latency = latencyOf({ natter: { latency: { total_ms: 465.2, contributions } } });
    expect(latency?.hiddenMs).toBeCloseTo(134.8);
    expect(latency?.contributions[1]).toEqual({ name: "model", ms: 145.2, hiddenMs: 104.8 });
  });

  it("passes over contributions in another form", () => {
    const odd = [null, 1, { name: 2, ms: 3 }, { name: "model" }, { name: "voice", ms: 90 }];
    const latency = latencyOf({ natter: { latency: { total_ms: 90, contributions: odd } } });
    expect(latency).toEqual({ totalMs: 90, hiddenMs: 0, contributions: [{ name: "voice", ms: 90, hiddenMs: 0 }] });
  });

  it("says of each stage what was waited for and what was not", () => {
    const latency = latencyOf({ natter: { latency: { total_ms: 465.2, contributions } } });
    expect(latency && describeLatency(latency)).toBe(
      "endpointing 200 ms\nmodel 145 ms + 105 ms hidden\nvoice 120 ms + 30 ms hidden",
    );
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
