import type { Problem } from "../connection/problem";

interface Props {
  readonly problem: Problem;
  onDismiss(): void;
  /** Offered when only the microphone stands in the way. */
  onConnectTyping: (() => void) | undefined;
}

export function ProblemNote({ problem, onDismiss, onConnectTyping }: Props) {
  return (
    <div className="problem" data-kind={problem.kind}>
      <p role="alert" data-testid="error" data-kind={problem.kind}>
        <strong>{problem.title}</strong> {problem.advice}
      </p>
      <div className="problem-actions">
        {onConnectTyping && (
          <button type="button" className="link" data-testid="connect-typing" onClick={onConnectTyping}>
            Continue by typing
          </button>
        )}
        <button type="button" className="link" onClick={onDismiss}>
          Dismiss
        </button>
      </div>
    </div>
  );
}
