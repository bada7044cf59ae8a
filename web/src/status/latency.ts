/** What one stage made the caller wait, and what it worked while something else was waited for; ms. */
export interface Contribution {
  readonly name: string;
  readonly ms: number;
  readonly hiddenMs: number;
}

/** How long an answer took. Contributions add up to the total; what was hidden comes on top of it, unheard. */
export interface Latency {
  readonly totalMs: number;
  readonly hiddenMs: number;
  readonly contributions: readonly Contribution[];
}

/** How long the last answer took, if a `metrics` message says so; the gateway's own key beside RTVI's. */
export function latencyOf(metrics: unknown): Latency | undefined {
  const latency = field(field(metrics, "natter"), "latency");
  const totalMs = duration(field(latency, "total_ms"));
  if (totalMs === undefined) return undefined;
  const parts = field(latency, "contributions");
  const contributions = Array.isArray(parts) ? parts.flatMap(contributionOf) : [];
  const hiddenMs = contributions.reduce((sum, part) => sum + part.hiddenMs, 0);
  return { totalMs, hiddenMs, contributions };
}

/** One line for each stage that took any time. */
export function describe({ contributions }: Latency): string {
  return contributions
    .filter(({ ms, hiddenMs }) => Math.round(ms) > 0 || Math.round(hiddenMs) > 0)
    .map(({ name, ms, hiddenMs }) => {
      const hidden = Math.round(hiddenMs) > 0 ? ` + ${Math.round(hiddenMs)} ms hidden` : "";
      return `${name} ${Math.round(ms)} ms${hidden}`;
    })
    .join("\n");
}

function contributionOf(part: unknown): Contribution[] {
  const name = field(part, "name");
  const ms = duration(field(part, "ms"));
  if (typeof name !== "string" || ms === undefined) return [];
  return [{ name, ms, hiddenMs: duration(field(part, "hidden_ms")) ?? 0 }];
}

function duration(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
