import { LeaveIcon } from "./icons";

interface Props {
  onRetry(): void;
  onLeave(): void;
}

/** What one can do when the conversation was not found again. */
export function LostControls({ onRetry, onLeave }: Props) {
  return (
    <div className="controls">
      <button type="button" className="connect" data-testid="reconnect" onClick={onRetry}>
        Reconnect
      </button>
      <button type="button" className="leave" data-testid="leave" aria-label="Leave" onClick={onLeave}>
        <LeaveIcon />
        <span>Leave</span>
      </button>
    </div>
  );
}
