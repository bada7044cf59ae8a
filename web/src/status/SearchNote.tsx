import type { LineState } from "../connection/reconnect";
import { describeSearch } from "./reconnecting";

/** What is done to get a lost conversation back. */
export function SearchNote({ line }: { readonly line: LineState }) {
  const words = describeSearch(line);
  if (words === undefined) return null;
  return (
    <p className="search" role="status" data-testid="search">
      <strong>Reconnecting…</strong> {words}
    </p>
  );
}
