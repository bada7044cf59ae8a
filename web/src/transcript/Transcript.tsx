import { useEffect, useRef } from "react";
import { Announcer } from "./Announcer";
import type { Message } from "./messages";

/** This close to the end, px, the reader is following and wants to see what comes. */
const FOLLOWING_PX = 80;

/** Both sides' words as they come, the newest in view unless the reader has scrolled back. */
export function Transcript({ messages, botName }: { readonly messages: readonly Message[]; readonly botName: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const following = useRef(true);

  useEffect(() => {
    const box = scroller.current;
    if (!box) return;
    const follow = () => following.current && box.scrollTo({ top: box.scrollHeight });
    follow();
    // An error note or an on-screen keyboard takes room away.
    const resized = new ResizeObserver(follow);
    resized.observe(box);
    return () => resized.disconnect();
  }, [messages]);

  const onScroll = () => {
    const box = scroller.current;
    if (box) following.current = box.scrollHeight - box.scrollTop - box.clientHeight < FOLLOWING_PX;
  };

  return (
    <div className="transcript" ref={scroller} onScroll={onScroll} tabIndex={0} role="region" aria-label="Transcript">
      {messages.length === 0 && <p className="transcript-hint">Say something, or type below.</p>}
      <ol data-testid="transcript">
        {messages.map((message) => (
          <MessageItem key={message.key} message={message} botName={botName} />
        ))}
      </ol>
      <Announcer messages={messages} botName={botName} />
    </div>
  );
}

export function MessageItem({ message, botName }: { readonly message: Message; readonly botName: string }) {
  return (
    <li className="message" data-role={message.role}>
      <span className="visually-hidden">{message.role === "user" ? "You said" : `${botName} said`}</span>
      <p data-testid="message" data-role={message.role} data-final={message.final}>
        {/* By place: a piece keeps it while its words move from "ahead" to "settled". */}
        {message.pieces.map((piece, place) => (
          <span key={place} data-kind={piece.kind}>
            {piece.text}
          </span>
        ))}
      </p>
    </li>
  );
}
