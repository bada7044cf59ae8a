import type { Phase } from "../connection/conversations";
import type { Turn } from "./turnState";

interface Props {
  readonly phase: Phase;
  readonly turn: Turn;
}

/** One word for what is going on. */
export function Status({ phase, turn }: Props) {
  const word = phase === "live" ? turn : phase;
  return (
    <p className="status" data-state={word} role="status">
      <span className="status-mark" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <span data-testid="status">{word}</span>
    </p>
  );
}
