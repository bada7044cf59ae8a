import type { Phase } from "../connection/conversations";
import { LeaveIcon } from "./icons";
import { MuteButton } from "./MuteButton";
import { TextForm } from "./TextForm";

interface Props {
  readonly phase: Phase;
  readonly hasMicrophone: boolean;
  onSend(text: string): void;
  onLeave(): void;
}

/** What one can do in a conversation. */
export function CallControls({ phase, hasMicrophone, onSend, onLeave }: Props) {
  return (
    <div className="controls">
      <MuteButton hasMicrophone={hasMicrophone} />
      <TextForm canSend={phase === "live"} onSend={onSend} />
      {/* It stands where "Connect" stood: the second half of a double click must not end what the first began. */}
      <button
        type="button"
        className="leave"
        data-testid="leave"
        aria-label={phase === "connecting" ? "Cancel" : "Leave"}
        onClick={(event) => event.detail < 2 && onLeave()}
      >
        <LeaveIcon />
        <span>{phase === "connecting" ? "Cancel" : "Leave"}</span>
      </button>
    </div>
  );
}
