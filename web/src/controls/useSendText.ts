import { useConversationContext, usePipecatClient } from "@pipecat-ai/client-react";
import { useCallback } from "react";

/** Sends a typed message and shows it: the server does not echo what was typed. */
export function useSendText(): (text: string) => Promise<void> {
  const client = usePipecatClient();
  const { injectMessage } = useConversationContext();
  return useCallback(
    async (text) => {
      if (!client) return;
      await client.sendText(text);
      injectMessage({ role: "user", parts: [{ text, final: true, createdAt: new Date().toISOString() }] });
    },
    [client, injectMessage],
  );
}
