import type { BotOutputText, ConversationMessage, ConversationMessagePart } from "@pipecat-ai/client-react";

/** A piece of a message's text. */
export interface Piece {
  readonly text: string;
  /**
   * `settled`: said and understood, heard, or written only; `interim`: what recognition makes of speech so far;
   * `ahead`: the bot's words that are not heard yet, and never will be if the message was interrupted.
   */
  readonly kind: "settled" | "interim" | "ahead";
}

export interface Message {
  readonly key: string;
  readonly role: "user" | "bot";
  readonly pieces: readonly Piece[];
  /** Nothing will be added. */
  readonly final: boolean;
}

/** The events that client-react keeps per bot message, as far as they are needed here. */
export interface OutputEvent {
  readonly segment_id?: number;
  readonly will_be_spoken?: boolean;
}

/**
 * What to draw, in the order in which it was said, from client-react's conversation.
 *
 * It puts all of the bot's text into one message until the user is heard to speak. A typed message makes no such sound,
 * so a bot's message is divided here where a message of the user came in between.
 *
 * @param outputs events of each bot message, by its `createdAt`
 */
export function messagesFrom(
  conversation: readonly ConversationMessage[],
  outputs: ReadonlyMap<string, readonly OutputEvent[]>,
): Message[] {
  const timed = conversation.flatMap((message, index): TimedMessage[] => {
    if (message.role === "user") return [userMessage(message)];
    if (message.role !== "assistant") return [];
    // Told anew after a reconnection, a question and the beginning of its answer may have come in the same millisecond.
    const later = conversation.slice(index + 1).filter((each) => each.role === "user");
    const userTimes = later.map((each) => each.createdAt);
    return botMessages(message, userTimes, outputs.get(message.createdAt) ?? []);
  });
  return timed
    .filter(({ message }) => message.pieces.some((piece) => piece.text.trim() !== ""))
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
    .map(({ message }) => message);
}

/** The message's words, without their kinds. */
export const textOf = (message: Message): string => message.pieces.map((piece) => piece.text).join("");

interface TimedMessage {
  readonly at: string;
  readonly message: Message;
}

function userMessage(message: ConversationMessage): TimedMessage {
  const pieces = message.parts.map((part, index): Piece => {
    const text = typeof part.text === "string" ? part.text.trim() : "";
    return { text: index > 0 ? ` ${text}` : text, kind: part.final ? "settled" : "interim" };
  });
  const key = `user ${message.createdAt}`;
  return { at: message.createdAt, message: { key, role: "user", pieces, final: message.final === true } };
}

function botMessages(
  message: ConversationMessage,
  userTimes: readonly string[],
  outputs: readonly OutputEvent[],
): TimedMessage[] {
  const writtenOnly = new Set(outputs.filter((each) => each.will_be_spoken === false).map((each) => each.segment_id));
  const groups: ConversationMessagePart[][] = [];
  for (const part of message.parts) {
    const before = groups.at(-1)?.at(-1);
    const divided = before && userTimes.some((time) => before.createdAt <= time && time < part.createdAt);
    if (!before || divided) groups.push([part]);
    else groups.at(-1)?.push(part);
  }
  return groups.map((parts, index): TimedMessage => {
    const at = parts[0]?.createdAt ?? message.createdAt;
    const pieces = parts.flatMap((part, place) => botPieces(part, place === 0, writtenOnly));
    const final = message.final === true || index < groups.length - 1;
    return { at, message: { key: `bot ${message.createdAt} ${index}`, role: "bot", pieces, final } };
  });
}

function botPieces(
  part: ConversationMessagePart,
  isFirst: boolean,
  writtenOnly: ReadonlySet<number | undefined>,
): Piece[] {
  const { spoken, unspoken } = splitText(part.text);
  const space = isFirst ? "" : " ";
  if (part.segment_id !== undefined && writtenOnly.has(part.segment_id)) {
    return [{ text: space + `${spoken}${unspoken}`.trim(), kind: "settled" }];
  }
  // client-react puts the separator before the spoken half, where it would appear with the first word; and the space
  // between the halves belongs to what was heard.
  const heard = spoken.trimStart();
  if (heard === "") return unspoken === "" ? [] : [{ text: space + unspoken.trimStart(), kind: "ahead" }];
  const ahead = unspoken.trimStart();
  const between = unspoken.slice(0, unspoken.length - ahead.length);
  const settled: Piece = { text: space + heard + (ahead === "" ? "" : between), kind: "settled" };
  return ahead === "" ? [settled] : [settled, { text: ahead, kind: "ahead" }];
}

function splitText(text: ConversationMessagePart["text"]): BotOutputText {
  if (typeof text === "string") return { spoken: text, unspoken: "" };
  if (typeof text === "object" && text !== null && "spoken" in text && "unspoken" in text) return text;
  return { spoken: "", unspoken: "" };
}
