import type { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";

/**
 * The transport's own peer connection and data channel.
 *
 * The transport reconnects by itself, but tells nobody: its state stays "ready" while the line is dead. These fields
 * are private, so they are read here only, tolerantly, and a test fails when a new version of the package renames them.
 */
interface Internals {
  pc?: RTCPeerConnection | null;
  dc?: RTCDataChannel | null;
}

const internals = (transport: SmallWebRTCTransport): Internals => transport as unknown as Internals;

/** Whether the line carries anything now; `unknown` when there is no telling. */
export type Line = "up" | "down" | "unknown";

export function lineOf(transport: SmallWebRTCTransport): Line {
  const { pc, dc } = internals(transport);
  if (!pc || !dc) return "unknown";
  const iceUp = pc.iceConnectionState === "connected" || pc.iceConnectionState === "completed";
  return iceUp && dc.readyState === "open" ? "up" : "down";
}

/** Sends another microphone track from now on, without a new offer. */
export async function replaceMicrophone(transport: SmallWebRTCTransport, track: MediaStreamTrack): Promise<void> {
  await internals(transport).pc?.getTransceivers()[0]?.sender.replaceTrack(track);
}

/** The track that the bot's voice comes on now, or will. */
export function botTrackOf(transport: SmallWebRTCTransport): MediaStreamTrack | undefined {
  return internals(transport).pc?.getTransceivers()[0]?.receiver.track;
}
