import type { Participant, PipecatClientOptions, Tracks } from "@pipecat-ai/client-js";

export const LOCAL_PARTICIPANT: Participant = { id: "local", name: "", local: true };

type DeviceOrNone = MediaDeviceInfo | Record<string, never>;

/**
 * What the SmallWebRTC transport 1.10 asks of its media manager. The package uses the type but does not export it;
 * a test compares this list with the managers that it ships.
 */
export interface MediaManager {
  readonly supportsScreenShare: boolean;
  readonly isMicEnabled: boolean;
  readonly isCamEnabled: boolean;
  readonly isSharingScreen: boolean;
  readonly selectedMic: DeviceOrNone;
  readonly selectedCam: DeviceOrNone;
  readonly selectedSpeaker: DeviceOrNone;
  setClientOptions(options: PipecatClientOptions): void;
  setUserAudioCallback(callback: (data: ArrayBuffer) => void): void;
  initialize(): Promise<void>;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  userStartedSpeaking(): Promise<unknown>;
  bufferBotAudio(data: ArrayBuffer | Int16Array, id?: string): Int16Array | undefined;
  getAllMics(): Promise<MediaDeviceInfo[]>;
  getAllCams(): Promise<MediaDeviceInfo[]>;
  getAllSpeakers(): Promise<MediaDeviceInfo[]>;
  updateMic(deviceId: string): Promise<void>;
  updateCam(deviceId: string): void;
  updateSpeaker(deviceId: string): void;
  enableMic(enable: boolean): void;
  enableCam(enable: boolean): void;
  enableScreenShare(enable: boolean): void;
  tracks(): Tracks;
}
