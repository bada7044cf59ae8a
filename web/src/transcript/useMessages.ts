import { RTVIEvent } from "@pipecat-ai/client-js";
import { usePipecatConversation, useRTVIClientEvent } from "@pipecat-ai/client-react";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Call } from "../connection/call";
import type { Snapshot } from "../connection/conversations";
import { type Message, messagesFrom, type OutputEvent } from "./messages";
import { firstTurnOf, readPastTurns } from "./pastTurns";
import { type Turn, whole } from "./whole";

interface Before {
  /** The connection that all this comes before. */
  readonly call: Call;
  readonly kept: readonly Message[];
  readonly past: readonly Turn[] | undefined;
  /** Client-react empties its conversation when a client is connected: until then it has the last connection's. */
  readonly isLive: boolean;
}

/** All that was said in the conversation, over however many connections, and by pages before this one. */
export function useMessages({ call, session }: Snapshot): readonly Message[] {
  const { messages: conversation, botOutputEvents } = usePipecatConversation();
  const [before, setBefore] = useState<Before>({ call, kept: [], past: undefined, isLive: false });
  const latest = useRef<readonly Message[]>([]);

  const messages = useMemo(() => {
    const outputs = botOutputEvents as ReadonlyMap<string, readonly OutputEvent[]>;
    const isShown = before.call === call;
    // A connection was lost, and the effect below has not run yet.
    if (!isShown) return latest.current;
    return whole({ ...before, live: before.isLive ? messagesFrom(conversation, outputs) : [] });
  }, [before, call, conversation, botOutputEvents]);

  useEffect(() => {
    latest.current = messages;
  }, [messages]);

  useEffect(() => {
    setBefore((last) => (last.call === call ? last : { call, kept: latest.current, past: undefined, isLive: false }));
  }, [call]);

  const isResumed = session !== undefined;
  useRTVIClientEvent(
    RTVIEvent.Connected,
    useCallback(() => {
      const kept = isResumed ? latest.current : [];
      setBefore({ call, kept, past: undefined, isLive: true });
    }, [call, isResumed]),
  );

  const sessionId = session?.id;
  const reading = useRef<AbortController>(undefined);
  useEffect(() => () => reading.current?.abort(), [call]);
  useRTVIClientEvent(
    RTVIEvent.BotReady,
    useCallback(
      (botReady: unknown) => {
        const firstTurn = firstTurnOf(botReady);
        if (sessionId === undefined || firstTurn === undefined) return;
        reading.current?.abort();
        const { signal } = (reading.current = new AbortController());
        void readPastTurns(sessionId, firstTurn, signal).then((past) => {
          if (past && !signal.aborted) setBefore((last) => (last.call === call ? { ...last, past } : last));
        });
      },
      [call, sessionId],
    ),
  );
  return messages;
}
