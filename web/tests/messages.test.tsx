import type { ConversationMessage, ConversationMessagePart } from "@pipecat-ai/client-react";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import { type Message, messagesFrom, type OutputEvent, textOf } from "../src/transcript/messages";
import { MessageItem } from "../src/transcript/Transcript";

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 12, 0, second)).toISOString();
const NO_OUTPUTS: ReadonlyMap<string, readonly OutputEvent[]> = new Map();

function said(second: number, text: string, final = true): ConversationMessagePart {
  return { text, final, createdAt: at(second) };
}

/** A segment of the bot as `usePipecatConversation` gives it, its separator in front of the spoken half. */
function segment(second: number, id: number, spoken: string, unspoken: string, first = false): ConversationMessagePart {
  const text = { spoken: (first ? "" : " ") + spoken, unspoken };
  return { text, final: false, createdAt: at(second), segment_id: id, needsSeparator: !first };
}

function user(second: number, parts: ConversationMessagePart[], final = false): ConversationMessage {
  return { role: "user", parts, final, createdAt: at(second) };
}

function bot(second: number, parts: ConversationMessagePart[], final = false): ConversationMessage {
  return { role: "assistant", parts, final, createdAt: at(second) };
}

const shape = (messages: readonly Message[]) =>
  messages.map((message) => [message.role, ...message.pieces.map((piece) => `${piece.kind}: ${piece.text}`)]);

describe("messagesFrom", () => {
  it("joins finals and shows the open interim as such", () => {
    const messages = messagesFrom([user(1, [said(1, "What is"), said(2, " a voice", false)])], NO_OUTPUTS);
    expect(shape(messages)).toEqual([["user", "settled: What is", "interim:  a voice"]]);
    expect(messages[0]?.final).toBe(false);
  });

  it("divides the bot's words into heard and ahead, with the spaces between segments", () => {
    const message = bot(1, [
      segment(1, 1, "It is ten.", "", true),
      segment(2, 2, "Time", " to go."),
      segment(3, 3, "", "Bye."),
    ]);
    const messages = messagesFrom([message], NO_OUTPUTS);
    expect(shape(messages)).toEqual([["bot", "settled: It is ten.", "settled:  Time ", "ahead: to go.", "ahead:  Bye."]]);
    expect(messages.map(textOf)).toEqual(["It is ten. Time to go. Bye."]);
  });

  it("does not move the text when its first word is heard", () => {
    const before = messagesFrom([bot(1, [segment(1, 1, "", "It is", true)])], NO_OUTPUTS);
    const after = messagesFrom([bot(1, [segment(1, 1, "It", " is", true)])], NO_OUTPUTS);
    expect(before.map(textOf)).toEqual(after.map(textOf));
  });

  it("takes what is only written as settled", () => {
    const outputs = new Map([[at(1), [{ segment_id: 7, will_be_spoken: false }]]]);
    expect(shape(messagesFrom([bot(1, [segment(1, 7, "", "Written.", true)])], outputs))).toEqual([
      ["bot", "settled: Written."],
    ]);
  });

  it("puts a typed message between the bot's words before and after it", () => {
    const conversation = [
      bot(1, [segment(1, 1, "Let me", " tell you", true), segment(5, 2, "All", " right.")]),
      user(3, [said(3, "Stop")], true),
    ];
    const messages = messagesFrom(conversation, NO_OUTPUTS);
    expect(messages.map((message) => [message.role, textOf(message), message.final])).toEqual([
      ["bot", "Let me tell you", true],
      ["user", "Stop", true],
      ["bot", "All right.", false],
    ]);
    expect(new Set(messages.map((message) => message.key)).size).toBe(3);
  });

  it("keeps an answer whole that began in the millisecond of its question", () => {
    const conversation = [
      user(1, [said(1, "Tea?")], true),
      bot(1, [segment(1, 1, "Yes", "", true), segment(2, 2, "please", ".")]),
    ];
    expect(shape(messagesFrom(conversation, NO_OUTPUTS))).toEqual([
      ["user", "settled: Tea?"],
      ["bot", "settled: Yes", "settled:  please", "ahead: ."],
    ]);
  });

  it("leaves out the empty and what is no talk", () => {
    const call: ConversationMessage = { role: "function_call", parts: [], createdAt: at(1) };
    expect(messagesFrom([call, bot(2, []), user(3, [said(3, " ")])], NO_OUTPUTS)).toEqual([]);
  });
});

describe("MessageItem", () => {
  it("keeps the words free of anything else, for whoever reads them", () => {
    const [message] = messagesFrom([bot(1, [segment(1, 1, "It", " is", true)], true)], NO_OUTPUTS);
    if (!message) throw new Error("no message");
    const html = renderToStaticMarkup(<MessageItem message={message} botName="Guide" />);
    expect(html).toContain(
      '<p data-testid="message" data-role="bot" data-final="true">' +
        '<span data-kind="settled">It </span><span data-kind="ahead">is</span></p>',
    );
    expect(html).toContain("Guide said");
  });
});
