import { describe, expect, it } from "vitest";
import { answered, BEGINNING, type Heartbeat, isSilent, pinged } from "../src/connection/heartbeat";
import { deadlineOf, type LineAction, type LineEvent, type LineState, step } from "../src/connection/reconnect";

describe("Heartbeat", () => {
  const pings = (...times: number[]) => times.reduce<Heartbeat>(pinged, BEGINNING);

  it("is silent when three pings in a row have no answer, the last of them for half a second", () => {
    expect(isSilent(pings(1_000, 2_000, 3_000), 3_499)).toBe(false);
    expect(isSilent(pings(1_000, 2_000, 3_000), 3_500)).toBe(true);
    expect(isSilent(pings(1_000, 2_000), 9_000)).toBe(false);
  });

  it("begins anew with any answer, also a late one", () => {
    const late = answered(pings(1_000, 2_000));
    expect(isSilent([3_000, 4_000].reduce(pinged, late), 4_900)).toBe(false);
    expect(isSilent([3_000, 4_000, 5_000].reduce(pinged, late), 5_500)).toBe(true);
  });

  it("does not take a computer that slept for a dead line", () => {
    expect(isSilent(pinged(pings(1_000), 3_600_000), 3_600_500)).toBe(false);
  });
});

/** A page and its line in virtual time. */
class Run {
  state: LineState = { kind: "up" };
  now = 100_000;
  readonly log: string[] = [];

  constructor(private readonly random = 0.5) {}

  tell(event: LineEvent): readonly LineAction[] {
    const { state, actions } = step(this.state, event, this.now, this.random);
    this.state = state;
    for (const action of actions) this.log.push(`${this.now - 100_000} ${action}`);
    return actions;
  }

  /** Passes time; attempts fail at once, with `status`. */
  outage(ms: number, status?: number): void {
    const end = this.now + ms;
    for (;;) {
      if (this.state.kind === "trying") this.tell({ type: "failed", status });
      const deadline = deadlineOf(this.state);
      if (deadline === undefined || deadline > end) break;
      this.now = deadline;
      this.tell({ type: "tick" });
    }
    this.now = Math.max(this.now, end);
  }

  wait(ms: number): void {
    this.now += ms;
    this.tell({ type: "tick" });
  }
}

const lost: LineEvent = { type: "lost", reason: "silent" };

describe("reconnect", () => {
  it("tries at once with a new client, and is up again", () => {
    const run = new Run();
    expect(run.tell(lost)).toEqual(["drop-old", "connect"]);
    expect(run.state).toMatchObject({ kind: "trying", reason: "silent", attempts: 1 });
    run.tell({ type: "connected" });
    expect(run.state).toEqual({ kind: "up" });
  });

  it("tries each second, with jitter", () => {
    const run = new Run();
    run.tell(lost);
    run.outage(2_500);
    expect(run.log).toEqual(["0 drop-old", "0 connect", "0 abandon", "1000 connect", "1000 abandon", "2000 connect", "2000 abandon"]);
    for (const [random, after] of [[0, 750], [1, 1_250]] as const) {
      const other = new Run(random);
      other.tell(lost);
      other.tell({ type: "failed" });
      expect(deadlineOf(other.state)).toBe(other.now + after);
    }
  });

  it.each([undefined, 500, 502, 503, 504])("goes on after %s", (status) => {
    const run = new Run();
    run.tell(lost);
    run.tell({ type: "failed", status });
    expect(run.state.kind).toBe("waiting");
  });

  it.each([
    [404, "ended"],
    [410, "ended"],
    [400, "refused"],
    [403, "refused"],
  ])("ends with %d: %s", (status, why) => {
    const run = new Run();
    run.tell(lost);
    expect(run.tell({ type: "failed", status })).toEqual(["abandon", "drop-old", "release"]);
    expect(run.state).toEqual({ kind: "over", reason: "silent", why });
    expect(run.tell({ type: "online" })).toEqual([]);
    expect(run.tell({ type: "retry" })).toEqual([]);
  });

  it("stops after a minute, closes the microphone, and begins again when asked to", () => {
    const run = new Run();
    run.tell(lost);
    run.outage(59_000, 503);
    expect(run.state.kind).toBe("waiting");
    run.outage(5_000, 503);
    expect(run.state).toEqual({ kind: "given-up", reason: "silent" });
    expect(run.log.at(-1)).toBe("60000 release");
    expect(deadlineOf(run.state)).toBeUndefined();
    expect(run.tell({ type: "online" })).toEqual([]);
    expect(run.tell({ type: "retry" })).toEqual(["connect"]);
    run.outage(59_000);
    expect(run.state.kind).toBe("waiting");
  });

  it("gives up an attempt that hangs", () => {
    const run = new Run();
    run.tell(lost);
    run.wait(5_999);
    expect(run.state.kind).toBe("trying");
    run.wait(1);
    expect(run.log.at(-1)).toBe("6000 abandon");
    run.wait(1_000);
    expect(run.state).toMatchObject({ kind: "trying", attempts: 2 });
  });

  it("tries at once when there is a network again, also in the middle of an attempt", () => {
    const run = new Run();
    expect(run.tell({ type: "online" })).toEqual([]);
    run.tell(lost);
    run.now += 10;
    expect(run.tell({ type: "online" })).toEqual(["abandon", "connect"]);
    run.tell({ type: "failed" });
    run.now += 10;
    expect(run.tell({ type: "online" })).toEqual(["connect"]);
    expect(run.state).toMatchObject({ kind: "trying", attempts: 3, startedAt: 100_020, since: 100_000 });
  });

  it("leaves the old connection only when the new one is there, if the server wants another", () => {
    const run = new Run();
    expect(run.tell({ type: "renegotiate" })).toEqual(["connect"]);
    expect(run.tell({ type: "renegotiate" })).toEqual([]);
    expect(run.tell({ type: "failed", status: 503 })).toEqual(["abandon"]);
    run.wait(1_000);
    expect(run.tell({ type: "connected" })).toEqual(["drop-old"]);
    expect(run.log).toEqual(["0 connect", "0 abandon", "1000 connect", "1000 drop-old"]);
  });

  it("has a minute from when the connection that was to be left has ended", () => {
    const run = new Run();
    run.tell({ type: "renegotiate" });
    run.outage(50_000, 503);
    expect(run.tell({ type: "lost", reason: "left" })).toEqual(["drop-old"]);
    expect(run.tell(lost)).toEqual([]);
    run.outage(58_000, 503);
    expect(run.state).toMatchObject({ kind: "waiting", reason: "left" });
  });

  it("comes back after a reload for what is left of the minute", () => {
    const run = new Run();
    expect(run.tell({ type: "reloaded", aliveAt: run.now - 40_000 })).toEqual(["connect"]);
    run.outage(18_000);
    expect(run.state.kind).toBe("waiting");
    run.outage(3_000);
    expect(run.state.kind).toBe("given-up");
  });

  it("takes no notice of what comes too late", () => {
    const run = new Run();
    for (const event of [{ type: "connected" }, { type: "failed" }, { type: "tick" }, { type: "retry" }] as const) {
      expect(run.tell(event)).toEqual([]);
    }
    run.tell(lost);
    run.tell({ type: "failed" });
    expect(run.tell({ type: "connected" })).toEqual([]);
    expect(run.tell({ type: "failed" })).toEqual([]);
    expect(run.tell({ type: "tick" })).toEqual([]);
  });
});
