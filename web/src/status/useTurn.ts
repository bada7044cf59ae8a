import { type BotOutputData, RTVIEvent } from "@pipecat-ai/client-js";
import { useRTVIClientEvent } from "@pipecat-ai/client-react";
import { type Dispatch, useCallback, useEffect, useReducer } from "react";
import { MAX_THINKING_MS, nextTurn, type Turn, type TurnEvent } from "./turnState";

/** Follows the conversation's events; the second value tells it what the page itself did (a typed message). */
export function useTurn(): readonly [Turn, Dispatch<TurnEvent>] {
  const [turn, dispatch] = useReducer(nextTurn, "listening");
  useRTVIClientEvent(RTVIEvent.Connected, useCallback(() => dispatch("conversation-started"), []));
  useRTVIClientEvent(RTVIEvent.UserStartedSpeaking, useCallback(() => dispatch("user-started-speaking"), []));
  useRTVIClientEvent(RTVIEvent.UserStoppedSpeaking, useCallback(() => dispatch("user-stopped-speaking"), []));
  useRTVIClientEvent(RTVIEvent.BotStartedSpeaking, useCallback(() => dispatch("bot-started-speaking"), []));
  useRTVIClientEvent(RTVIEvent.BotStoppedSpeaking, useCallback(() => dispatch("bot-stopped-speaking"), []));
  useRTVIClientEvent(
    RTVIEvent.BotOutput,
    useCallback((output: BotOutputData) => {
      if (output.will_be_spoken === false) dispatch("bot-text-only");
    }, []),
  );

  useEffect(() => {
    if (turn !== "thinking") return;
    const timer = setTimeout(() => dispatch("thought-too-long"), MAX_THINKING_MS);
    return () => clearTimeout(timer);
  }, [turn]);
  return [turn, dispatch];
}
