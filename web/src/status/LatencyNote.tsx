import { describe, type Latency } from "./latency";

const MEANING = "From the end of your speech to the first sound of the answer";

/** How long the last answer took, and how much work lay behind something else that was waited for. */
export function LatencyNote({ latency }: { readonly latency: Latency }) {
  const hiddenMs = Math.round(latency.hiddenMs);
  return (
    <p className="latency" data-testid="latency" title={[MEANING, describe(latency)].filter(Boolean).join("\n")}>
      <span>answered in </span>
      {Math.round(latency.totalMs)} ms
      {hiddenMs > 0 && <small> + {hiddenMs} ms hidden</small>}
    </p>
  );
}
