/** What the bot is doing, as far as the user can tell. */
export type Turn = "listening" | "thinking" | "speaking";

export type TurnEvent =
  | "conversation-started"
  | "user-started-speaking"
  | "user-stopped-speaking"
  | "user-text"
  | "bot-text-only"
  | "bot-started-speaking"
  | "bot-stopped-speaking"
  | "thought-too-long";

/** Speech without words is answered by nothing, and nothing says so: after this long the bot is listening again. */
export const MAX_THINKING_MS = 10_000;

/**
 * The next state. While the bot is heard, only its own silence or the user's turn end "speaking": the reply's text and
 * the end of generation come earlier than its sound.
 */
export function nextTurn(turn: Turn, event: TurnEvent): Turn {
  switch (event) {
    case "conversation-started":
    case "user-started-speaking":
      return "listening";
    case "user-stopped-speaking":
      return turn === "speaking" ? turn : "thinking";
    case "user-text":
      return "thinking";
    case "bot-started-speaking":
      return "speaking";
    case "bot-stopped-speaking":
      return turn === "speaking" ? "listening" : turn;
    case "bot-text-only":
    case "thought-too-long":
      return turn === "thinking" ? "listening" : turn;
  }
}
