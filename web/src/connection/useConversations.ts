import { useEffect, useState, useSyncExternalStore } from "react";
import { Conversations, type Snapshot, type Surroundings } from "./conversations";

/**
 * The page's conversations and their state of now. To be used where the provider of the client is drawn: the client's
 * events reach the page once the provider's effects have run, which come before this component's.
 */
export function useConversations(surroundings: Surroundings): readonly [Conversations, Snapshot] {
  const [conversations] = useState(() => new Conversations(surroundings));
  const snapshot = useSyncExternalStore(conversations.subscribe, () => conversations.snapshot);

  useEffect(() => conversations.wired(snapshot.call), [conversations, snapshot.call]);

  useEffect(() => {
    void conversations.returnToSaved();
    const online = () => conversations.online();
    window.addEventListener("online", online);
    return () => window.removeEventListener("online", online);
  }, [conversations]);

  return [conversations, snapshot];
}
