import type { DeviceError, PipecatClientOptions, RTVIEventCallbacks } from "@pipecat-ai/client-js";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Microphone } from "../src/connection/microphone";

/** As much of a track as the page touches. As in browsers, "ended" is not fired for a stop of one's own. */
class FakeTrack extends EventTarget {
  readonly kind = "audio";
  enabled = true;
  readyState: "live" | "ended" = "live";
  stop(): void {
    this.readyState = "ended";
  }
  unplug(): void {
    this.readyState = "ended";
    this.dispatchEvent(new Event("ended"));
  }
  getSettings() {
    return { deviceId: "m1" };
  }
}

interface Machine {
  readonly opened: FakeTrack[];
  refusal: DOMException | undefined;
  /** Resolved by the user's answer to the browser's question. */
  permission: Promise<void>;
}

function machine(): Machine {
  const state: Machine = { opened: [], refusal: undefined, permission: Promise.resolve() };
  vi.stubGlobal("navigator", {
    mediaDevices: {
      getUserMedia: async () => {
        await state.permission;
        if (state.refusal) throw state.refusal;
        const track = new FakeTrack();
        state.opened.push(track);
        return { getAudioTracks: () => [track] };
      },
      enumerateDevices: () => Promise.resolve([{ kind: "audioinput", deviceId: "m1", label: "Mic" }]),
    },
  });
  return state;
}

function wired(microphone: Microphone, callbacks: RTVIEventCallbacks = {}): Microphone {
  microphone.setClientOptions({ callbacks } as PipecatClientOptions);
  return microphone;
}

const trackOf = (microphone: Microphone) => microphone.tracks().local.audio;

afterEach(() => vi.unstubAllGlobals());

describe("Microphone", () => {
  it("opens once, says which it is, and closes", async () => {
    const { opened } = machine();
    const onMicUpdated = vi.fn();
    const microphone = wired(new Microphone(), { onMicUpdated });
    await microphone.initialize();
    await microphone.connect();
    expect(opened).toHaveLength(1);
    expect(onMicUpdated).toHaveBeenCalledWith(expect.objectContaining({ deviceId: "m1" }));
    expect(microphone.isMicEnabled).toBe(true);

    microphone.release();
    expect(opened[0]?.readyState).toBe("ended");
    expect(trackOf(microphone)).toBeUndefined();
    microphone.release();
  });

  it("survives the transport's stop of an old connection's tracks", async () => {
    const { opened } = machine();
    const microphone = wired(new Microphone());
    await microphone.initialize();
    trackOf(microphone)?.stop();
    expect(opened[0]?.readyState).toBe("live");
  });

  it.each([
    ["NotAllowedError", "permissions"],
    ["NotFoundError", "not-found"],
    ["NotReadableError", "in-use"],
    ["OverconstrainedError", "constraints"],
    ["Whatever", "unknown"],
  ])("says why it could not be opened: %s", async (name, type) => {
    const state = machine();
    state.refusal = new DOMException("no", name);
    const onDeviceError = vi.fn<(error: DeviceError) => void>();
    const microphone = wired(new Microphone(), { onDeviceError });
    await expect(microphone.initialize()).rejects.toMatchObject({ type, devices: ["mic"] });
    expect(onDeviceError).toHaveBeenCalledOnce();
    expect(microphone.isMicEnabled).toBe(false);
  });

  it("knows a page that gets no devices at all", async () => {
    vi.stubGlobal("navigator", {});
    await expect(wired(new Microphone()).initialize()).rejects.toMatchObject({ type: "undefined-mediadevices" });
  });

  it("asks for nothing when the user only types", async () => {
    const { opened } = machine();
    const microphone = wired(new Microphone());
    microphone.isWanted = false;
    await microphone.initialize();
    await microphone.connect();
    expect(opened).toHaveLength(0);
    expect(microphone.isMicEnabled).toBe(false);
  });

  it("mutes without closing the device", async () => {
    const { opened } = machine();
    const onTrackStopped = vi.fn();
    const microphone = wired(new Microphone(), { onTrackStopped });
    await microphone.initialize();
    microphone.enableMic(false);
    expect([opened[0]?.enabled, opened[0]?.readyState, microphone.isMicEnabled]).toEqual([false, "live", false]);
    expect(onTrackStopped).toHaveBeenCalledOnce();
    microphone.enableMic(true);
    expect([opened[0]?.enabled, microphone.isMicEnabled]).toEqual([true, true]);
  });

  it("stays open from one connection of a conversation to the next, as muted as before", async () => {
    const { opened } = machine();
    const microphone = wired(new Microphone());
    const onMuted = (microphone.onMuted = vi.fn());
    await microphone.initialize();
    microphone.enableMic(false);
    expect(onMuted).toHaveBeenCalledWith(true);
    await microphone.disconnect();

    const callbacks = { onMicUpdated: vi.fn(), onTrackStarted: vi.fn() };
    microphone.setClientOptions({ callbacks, enableMic: !microphone.isMuted } as unknown as PipecatClientOptions);
    await microphone.initialize();
    await microphone.connect();
    expect(opened.map(({ readyState, enabled }) => [readyState, enabled])).toEqual([["live", false]]);
    expect(callbacks.onMicUpdated).toHaveBeenCalled();
    expect(callbacks.onTrackStarted).toHaveBeenCalledWith(opened[0], expect.anything());
  });

  it("opens muted after a reload of a muted page", async () => {
    const { opened } = machine();
    const microphone = new Microphone({ muted: true });
    microphone.setClientOptions({ callbacks: {}, enableMic: !microphone.isMuted } as PipecatClientOptions);
    await microphone.initialize();
    expect(opened[0]?.enabled).toBe(false);
  });

  it("stays closed when the permission comes after the user left", async () => {
    const state = machine();
    let allow = (): void => undefined;
    state.permission = new Promise((resolve) => {
      allow = resolve;
    });
    const microphone = wired(new Microphone());
    const opening = microphone.initialize();
    microphone.release();
    allow();
    await opening;
    expect(state.opened[0]?.readyState).toBe("ended");
    expect(trackOf(microphone)).toBeUndefined();
  });

  it("takes another device when its own goes away, as muted as before", async () => {
    const { opened } = machine();
    const microphone = wired(new Microphone());
    await microphone.initialize();
    microphone.enableMic(false);
    const replaced = new Promise<MediaStreamTrack>((resolve) => {
      microphone.onReplaced = resolve;
    });
    opened[0]?.unplug();
    expect(await replaced).toBe(opened[1]);
    expect(opened[1]?.enabled).toBe(false);
  });

  it("is no microphone any more when there is no other device", async () => {
    const state = machine();
    const microphone = new Microphone();
    const failed = new Promise<DeviceError>((resolve) => {
      wired(microphone, { onDeviceError: resolve });
    });
    await microphone.initialize();
    state.refusal = new DOMException("gone", "NotFoundError");
    state.opened[0]?.unplug();
    expect((await failed).type).toBe("not-found");
    await vi.waitFor(() => expect(trackOf(microphone)).toBeUndefined());
  });
});
