import { DeviceError, type DeviceErrorType, type PipecatClientOptions, type RTVIEventCallbacks, type Tracks } from "@pipecat-ai/client-js";
import { LOCAL_PARTICIPANT, type MediaManager } from "./mediaManager";

/** What speech recognition wants: the echo of the bot's own voice removed, one channel. */
const CONSTRAINTS: MediaTrackConstraints = {
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
  channelCount: 1,
};

const ERROR_TYPES: Readonly<Record<string, DeviceErrorType>> = {
  NotAllowedError: "permissions",
  SecurityError: "permissions",
  NotFoundError: "not-found",
  NotReadableError: "in-use",
  AbortError: "in-use",
  OverconstrainedError: "constraints",
};

/**
 * The caller's microphone, as the transport's media manager.
 *
 * The managers that come with the transport either load a script from a third party, or keep every sample of the call
 * in memory and know no reason for a refusal. This one opens a track, mutes it, and closes it, for one conversation:
 * the connections that it takes use it one after the other, so that coming back asks for no permission.
 */
export class Microphone implements MediaManager {
  readonly supportsScreenShare = false;
  readonly isCamEnabled = false;
  readonly isSharingScreen = false;
  /** Called with a new track when the device went away in a call and another one took over. */
  onReplaced: ((track: MediaStreamTrack) => void) | undefined;
  onMuted: ((muted: boolean) => void) | undefined;
  /** False: typing only, no permission is asked for. */
  isWanted = true;

  private callbacks: RTVIEventCallbacks = {};
  private track: MediaStreamTrack | undefined;
  private device: MediaDeviceInfo | undefined;
  private enabled: boolean;
  /** Counts up with every `release()`, so that a permission granted after it opens nothing. */
  private releases = 0;

  constructor({ muted = false }: { readonly muted?: boolean } = {}) {
    this.enabled = !muted;
  }

  setClientOptions(options: PipecatClientOptions): void {
    this.callbacks = options.callbacks ?? {};
    this.enabled = options.enableMic ?? true;
  }

  /** Opens the microphone. Throws `DeviceError`, whose `type` says why it could not. */
  async initialize(): Promise<void> {
    if (!this.isWanted) return;
    if (this.track) await this.announceDevice(this.track);
    else await this.open();
  }

  async connect(): Promise<void> {
    await this.initialize();
    if (this.track) this.callbacks.onTrackStarted?.(this.track, LOCAL_PARTICIPANT);
  }

  /** A connection is over; the microphone is the conversation's, and stays open for the next. */
  disconnect(): Promise<void> {
    return Promise.resolve();
  }

  /** Closes the microphone. Safe to call at any time, also while a permission is being asked for. */
  release(): void {
    this.releases += 1;
    const track = this.track;
    this.track = undefined;
    if (!track) return;
    stopForReal(track);
    this.callbacks.onTrackStopped?.(track, LOCAL_PARTICIPANT);
  }

  get isMuted(): boolean {
    return !this.enabled;
  }

  get isMicEnabled(): boolean {
    return this.enabled && this.track !== undefined;
  }

  /** Mutes and unmutes; the device stays open, so that unmuting is immediate. */
  enableMic(enable: boolean): void {
    this.enabled = enable;
    this.onMuted?.(!enable);
    if (!this.track) return;
    this.track.enabled = enable;
    if (enable) this.callbacks.onTrackStarted?.(this.track, LOCAL_PARTICIPANT);
    else this.callbacks.onTrackStopped?.(this.track, LOCAL_PARTICIPANT);
  }

  tracks(): Tracks {
    return { local: this.track ? { audio: this.track } : {} };
  }

  get selectedMic(): MediaDeviceInfo | Record<string, never> {
    return this.device ?? {};
  }

  async getAllMics(): Promise<MediaDeviceInfo[]> {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter((device) => device.kind === "audioinput");
  }

  async updateMic(deviceId: string): Promise<void> {
    const old = this.track;
    await this.open(deviceId);
    if (old) stopForReal(old);
    if (this.track) this.onReplaced?.(this.track);
  }

  private async open(deviceId?: string): Promise<void> {
    const releases = this.releases;
    let stream: MediaStream;
    try {
      stream = await requestStream(deviceId);
    } catch (error) {
      const failure = deviceError(error);
      this.callbacks.onDeviceError?.(failure);
      throw failure;
    }
    const track = stream.getAudioTracks()[0];
    if (!track) throw deviceError(new DOMException("No audio track", "NotFoundError"));
    if (releases !== this.releases) {
      track.stop();
      return;
    }
    // A transport that closes a peer connection stops the tracks that it sent, and the next connection sends the same
    // one: the caller would be silent for the rest of the call. Only `release()` may close the microphone.
    track.stop = () => undefined;
    track.enabled = this.enabled;
    track.addEventListener("ended", () => this.replaceLost(track));
    this.track = track;
    await this.announceDevice(track);
  }

  private async announceDevice(track: MediaStreamTrack): Promise<void> {
    const { deviceId } = track.getSettings();
    const microphones = await this.getAllMics();
    this.device = microphones.find((device) => device.deviceId === deviceId) ?? microphones[0];
    if (this.device) this.callbacks.onMicUpdated?.(this.device);
  }

  /** The device was unplugged or taken away ("ended" comes only then, never from a stop of ours). */
  private replaceLost(track: MediaStreamTrack): void {
    if (track !== this.track) return;
    this.updateMic("").catch(() => {
      // `open` has reported it through onDeviceError; the call goes on, by typing.
      if (track === this.track) this.release();
    });
  }

  // What the transport's interface asks for beyond a microphone.
  userStartedSpeaking(): Promise<unknown> {
    return Promise.resolve();
  }
  bufferBotAudio(): undefined {
    return undefined;
  }
  setUserAudioCallback(): void {}
  getAllCams(): Promise<MediaDeviceInfo[]> {
    return Promise.resolve([]);
  }
  getAllSpeakers(): Promise<MediaDeviceInfo[]> {
    return Promise.resolve([]);
  }
  updateCam(): void {}
  updateSpeaker(): void {}
  enableCam(): void {}
  enableScreenShare(): void {}
  get selectedCam(): Record<string, never> {
    return {};
  }
  get selectedSpeaker(): Record<string, never> {
    return {};
  }
}

async function requestStream(deviceId: string | undefined): Promise<MediaStream> {
  // Browsers leave `mediaDevices` out of pages that came over plain http from another machine.
  const devices = (navigator as Partial<Navigator>).mediaDevices;
  if (!devices) throw new DeviceError(["mic"], "undefined-mediadevices");
  const audio = deviceId ? { ...CONSTRAINTS, deviceId: { exact: deviceId } } : CONSTRAINTS;
  return await devices.getUserMedia({ audio });
}

function deviceError(error: unknown): DeviceError {
  if (error instanceof DeviceError) return error;
  const name = error instanceof Error ? error.name : "";
  const message = error instanceof Error ? error.message : String(error);
  return new DeviceError(["mic"], ERROR_TYPES[name] ?? "unknown", message);
}

function stopForReal(track: MediaStreamTrack): void {
  Reflect.deleteProperty(track, "stop");
  track.stop();
}
