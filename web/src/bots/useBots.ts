import { useCallback, useEffect, useState } from "react";
import { type Bot, parseBots } from "./bots";

export type BotList =
  | { readonly state: "loading" }
  | { readonly state: "loaded"; readonly bots: readonly Bot[] }
  | { readonly state: "failed" };

const TIMEOUT_MS = 10_000;

/** The server's bots, and a way to ask again. */
export function useBots(): readonly [BotList, () => void] {
  const [list, setList] = useState<BotList>({ state: "loading" });
  const [asked, setAsked] = useState(0);

  useEffect(() => {
    const unmounted = new AbortController();
    fetchBots(AbortSignal.any([unmounted.signal, AbortSignal.timeout(TIMEOUT_MS)])).then(
      (bots) => setList({ state: "loaded", bots }),
      () => {
        if (!unmounted.signal.aborted) setList({ state: "failed" });
      },
    );
    return () => unmounted.abort();
  }, [asked]);

  const retry = useCallback(() => {
    setList({ state: "loading" });
    setAsked((times) => times + 1);
  }, []);
  return [list, retry];
}

async function fetchBots(signal: AbortSignal): Promise<readonly Bot[]> {
  const answer = await fetch("/api/bots", { signal });
  if (!answer.ok) throw new Error(`/api/bots answered ${answer.status}`);
  return parseBots(await answer.json());
}
