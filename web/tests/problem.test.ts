import { DeviceError, StartBotError, TransportStartError } from "@pipecat-ai/client-js";
import { describe, expect, it } from "vitest";
import { ClosedEarly, ReadyTimeout } from "../src/connection/call";
import { problemFrom, serverProblem } from "../src/connection/problem";

/** As the transport throws it when an offer is refused. */
function offerRefused(status: number, body: string): TransportStartError {
  return Object.assign(new TransportStartError("Offer request failed: [object Response]"), {
    cause: new Response(body, { status }),
  });
}

describe("problemFrom", () => {
  it.each([
    ["permissions", /blocked/, /Allow/],
    ["not-found", /No microphone/, /Plug/],
    ["in-use", /in use/, /Close/],
    ["undefined-mediadevices", /no microphone/, /https/],
  ] as const)("says what to do about a microphone error: %s", async (type, title, advice) => {
    const problem = await problemFrom(new DeviceError(["mic"], type));
    expect(problem).toMatchObject({
      kind: "microphone",
      title: expect.stringMatching(title) as unknown,
      advice: expect.stringMatching(advice) as unknown,
    });
  });

  it("tells a full server from a broken one, with the server's words", async () => {
    const full = await problemFrom(new StartBotError("all tts workers are busy", 503));
    expect(full).toMatchObject({ kind: "capacity", advice: "All tts workers are busy. Try again in a moment." });
    const broken = await problemFrom(new StartBotError("Internal Server Error", 500));
    expect(broken).toMatchObject({ kind: "server", advice: "Internal Server Error." });
  });

  it("passes on why a start was refused", async () => {
    const problem = await problemFrom(new StartBotError("Unknown bot 'x'. There are: a, b", 404));
    expect(problem).toMatchObject({ kind: "refused", advice: "Unknown bot 'x'. There are: a, b." });
  });

  it("leaves out a detail that is no text", async () => {
    expect(await problemFrom(new StartBotError("[object Object]", 422))).toMatchObject({ kind: "refused", advice: "" });
  });

  it("reads the detail of a refused offer", async () => {
    const problem = await problemFrom(offerRefused(503, JSON.stringify({ detail: "Draining." })));
    expect(problem).toMatchObject({ kind: "capacity", advice: "Draining. Try again in a moment." });
    expect(await problemFrom(offerRefused(404, "<html>"))).toMatchObject({ kind: "refused", advice: "" });
  });

  it.each(["Failed to fetch", "NetworkError when attempting to fetch resource.", "Load failed", "Timed out"])(
    "knows an unreachable server by %j",
    async (message) => {
      // The client gives a request without any answer the status 500.
      expect(await problemFrom(new StartBotError(message))).toMatchObject({ kind: "unreachable" });
      const offer = Object.assign(new TransportStartError("Offer request failed."), { cause: new TypeError(message) });
      expect(await problemFrom(offer)).toMatchObject({ kind: "unreachable" });
    },
  );

  it("has words for a bot that never gets ready", async () => {
    expect((await problemFrom(new ReadyTimeout())).title).toMatch(/ready in time/);
    expect((await problemFrom(new ClosedEarly())).title).toMatch(/closed/);
    expect((await problemFrom("odd")).kind).toBe("server");
  });
});

describe("serverProblem", () => {
  it("ends the conversation only when fatal", () => {
    expect(serverProblem({ error: "No voice", fatal: true })).toMatchObject({ kind: "server", fatal: true });
    expect(serverProblem({ error: "A hiccup", fatal: false })).toMatchObject({ kind: "notice", advice: "A hiccup." });
    expect(serverProblem(undefined)).toMatchObject({ kind: "notice", advice: "" });
  });
});
