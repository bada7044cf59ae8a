/** How long the last answer took, ms, if a `metrics` message says so; the gateway's own key beside RTVI's. */
export function latencyOf(metrics: unknown): number | undefined {
  const total = field(field(field(metrics, "natter"), "latency"), "total_ms");
  return typeof total === "number" && Number.isFinite(total) && total >= 0 ? total : undefined;
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
