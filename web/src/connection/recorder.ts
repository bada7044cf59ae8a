import { RTVIEvent } from "@pipecat-ai/client-js";
import type { PipecatClient } from "@pipecat-ai/client-js";
import type { Call } from "./call";
import type { Microphone } from "./microphone";

interface RecordedEvent {
  /** The client's name of the event, e.g. "botOutput". */
  readonly type: RTVIEvent;
  readonly data: unknown;
  /** `performance.now()` when it arrived, ms. */
  readonly at: number;
}

declare global {
  interface Window {
    natter?: { client: PipecatClient; readonly events: RecordedEvent[] };
  }
}

/** Far more than any test's conversation; the oldest go first, so that a page left open does not grow. */
const MAX_EVENTS = 20_000;

/**
 * Wraps `create` so that `window.natter` holds the current client and every RTVI event with its time.
 *
 * Only for end-to-end tests, and only when the page is opened with `?e2e=1`: they check the order and timing of events,
 * which the page itself does not show. Otherwise the page leaves nothing in the global scope.
 */
export function recorded(create: (microphone: Microphone) => Call): (microphone: Microphone) => Call {
  const events: RecordedEvent[] = [];
  return (microphone) => {
    const call = create(microphone);
    for (const type of Object.values(RTVIEvent)) {
      call.client.on(type, (...args: unknown[]) => {
        if (events.length >= MAX_EVENTS) events.shift();
        events.push({ type, data: plain(args[0]), at: performance.now() });
      });
    }
    if (window.natter) window.natter.client = call.client;
    else window.natter = { client: call.client, events };
    return call;
  };
}

/** A copy that a test can fetch out of the page; the client's objects change after the event. */
function plain(value: unknown): unknown {
  if (typeof MediaStreamTrack !== "undefined" && value instanceof MediaStreamTrack) {
    return { kind: value.kind, id: value.id, label: value.label };
  }
  if (value instanceof Error) return { name: value.name, message: value.message };
  return value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown);
}
