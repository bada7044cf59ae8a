import { type FormEvent, useState } from "react";
import { SendIcon } from "./icons";

/** A message is one data channel message, of 64 KiB at the most; nobody types that. */
const MAX_CHARACTERS = 4000;

interface Props {
  /** False while nothing gets through; what was typed stays. */
  readonly canSend: boolean;
  onSend(text: string): void;
}

/** To type instead of talking. */
export function TextForm({ canSend, onSend }: Props) {
  const [text, setText] = useState("");
  const words = text.trim();

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!canSend || words === "") return;
    onSend(words);
    setText("");
  };

  return (
    <form className="text-form" onSubmit={submit}>
      <input
        data-testid="text-input"
        type="text"
        aria-label="Type a message"
        placeholder="Or type…"
        autoComplete="off"
        enterKeyHint="send"
        maxLength={MAX_CHARACTERS}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <button
        type="submit"
        className="round send"
        data-testid="text-send"
        aria-label="Send"
        disabled={!canSend || words === ""}
      >
        <SendIcon />
      </button>
    </form>
  );
}
