import { useEffect, useRef, useState } from "react";
import { type Message, textOf } from "./messages";

/** More at once are what was said before the page was loaded again: nobody wants to hear all of it. */
const MOST_AT_ONCE = 2;

/**
 * Reads each message to screen readers once, when it is complete. The transcript itself changes with every word, which
 * they would stumble over.
 */
export function Announcer({ messages, botName }: { readonly messages: readonly Message[]; readonly botName: string }) {
  const announced = useRef(new Set<string>());
  const [line, setLine] = useState("");

  useEffect(() => {
    if (messages.length === 0) announced.current.clear();
    const fresh = messages.filter((message) => message.final && !announced.current.has(message.key));
    if (fresh.length === 0) return;
    for (const message of fresh) announced.current.add(message.key);
    setLine(fresh.slice(-MOST_AT_ONCE).map((message) => `${message.role === "user" ? "You" : botName}: ${textOf(message)}`).join(" "));
  }, [messages, botName]);

  return (
    <p className="visually-hidden" aria-live="polite">
      {line}
    </p>
  );
}
