import type { LineState, Reason } from "../connection/reconnect";

const WHY: Readonly<Record<Reason, string>> = {
  silent: "The server has gone silent.",
  failed: "The connection was lost.",
  left: "The server closed the connection.",
  moving: "The server asks for another connection.",
  reloaded: "Coming back to your conversation.",
};

/** What the page does to find the conversation again, in the user's words; undefined when it need not. */
export function describeSearch(line: LineState): string | undefined {
  if (line.kind === "trying") {
    return `${WHY[line.reason]} ${line.attempts === 1 ? "Connecting…" : `Connecting, attempt ${line.attempts}…`}`;
  }
  return line.kind === "waiting" ? `${WHY[line.reason]} Trying again in a moment…` : undefined;
}
