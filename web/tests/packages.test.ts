/**
 * What the page takes for granted about the inside of the pinned packages. A failure here means that an update renamed
 * something: read the package's sources (they are in its source maps) and adapt the file that is named.
 */
import { PipecatClient } from "@pipecat-ai/client-js";
import { DailyMediaManager, SmallWebRTCTransport, WavMediaManager } from "@pipecat-ai/small-webrtc-transport";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { Microphone } from "../src/connection/microphone";

beforeAll(() => {
  vi.stubGlobal("window", globalThis);
});

function members(prototype: object | null): string[] {
  if (prototype === null || prototype === Object.prototype) return [];
  return [...Object.getOwnPropertyNames(prototype), ...members(Object.getPrototypeOf(prototype) as object | null)];
}

describe("SmallWebRTCTransport", () => {
  it("keeps its peer connection and data channel in pc and dc (connection/peerConnection.ts)", () => {
    const transport = new SmallWebRTCTransport({ mediaManager: new Microphone() });
    expect(Object.keys(transport)).toEqual(expect.arrayContaining(["pc", "dc", "_lastNegotiationError"]));
  });

  it("reconnects, offers and stops by these methods (connection/peerConnection.ts)", () => {
    const names = members(SmallWebRTCTransport.prototype);
    expect(names).toEqual(
      expect.arrayContaining(["attemptReconnection", "negotiate", "stop", "buildTransportStartError"]),
    );
  });

  it("asks of a media manager nothing that the microphone lacks (connection/mediaManager.ts)", () => {
    const wav = new Set(members((WavMediaManager as { prototype: object }).prototype));
    const daily = members((DailyMediaManager as { prototype: object }).prototype);
    const common = daily.filter((name) => wav.has(name) && !name.startsWith("_"));
    expect(common.length).toBeGreaterThan(20);
    expect(common.filter((name) => !(name in new Microphone()))).toEqual([]);
  });

  it("works with the microphone as its media manager", () => {
    const microphone = new Microphone();
    const transport = new SmallWebRTCTransport({ mediaManager: microphone });
    const client = new PipecatClient({ transport, enableMic: true, enableCam: false });
    expect([client.state, client.isMicEnabled, client.needsInit()]).toEqual(["disconnected", false, true]);
  });
});
