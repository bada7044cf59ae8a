import type { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";

/**
 * The transport's own peer connection and data channel, and its way to reconnect.
 *
 * The transport reconnects by itself, after ten seconds, with the same client, and tells nobody. These members are
 * private, so they are used here only, and a test fails when a new version of the package renames them.
 */
interface Internals {
  pc?: RTCPeerConnection | null;
  dc?: RTCDataChannel | null;
  _lastNegotiationError: unknown;
  attemptReconnection(recreatePeerConnection?: boolean): Promise<void>;
  negotiate(recreatePeerConnection?: boolean): Promise<void>;
  buildTransportStartError(): Error;
  stop(error?: Error): Promise<void>;
}

const internals = (transport: SmallWebRTCTransport): Internals => transport as unknown as Internals;

/** Whether the browser has given the line up. What it still believes in may be dead all the same. */
export function hasFailed(transport: SmallWebRTCTransport): boolean {
  const { pc, dc } = internals(transport);
  const isOver = (state: string | undefined) => state === "failed" || state === "closed";
  return isOver(pc?.iceConnectionState) || isOver(pc?.connectionState) || isOver(dc?.readyState);
}

/**
 * From now on the transport does not reconnect: it asks `failed` when the line has failed, `moving` when the server
 * wants another one.
 */
export function takeOverReconnecting(transport: SmallWebRTCTransport, failed: () => void, moving: () => void): void {
  internals(transport).attemptReconnection = (recreatePeerConnection = false) => {
    if (recreatePeerConnection) failed();
    else moving();
    return Promise.resolve();
  };
}

/** The transport makes one offer, and fails with the answer's status if it is not taken. To be called before it connects. */
export function offerOnce(transport: SmallWebRTCTransport): void {
  const inner = internals(transport);
  const stop = () => inner.stop(inner.buildTransportStartError());
  const negotiate = inner.negotiate.bind(transport);
  inner.negotiate = async (recreatePeerConnection) => {
    await negotiate(recreatePeerConnection);
    if (inner._lastNegotiationError) await stop();
  };
  inner.attemptReconnection = stop;
}

/** Sends another microphone track from now on, without a new offer. */
export async function replaceMicrophone(transport: SmallWebRTCTransport, track: MediaStreamTrack): Promise<void> {
  await internals(transport).pc?.getTransceivers()[0]?.sender.replaceTrack(track);
}
