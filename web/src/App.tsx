import { RTVIEvent } from "@pipecat-ai/client-js";
import { PipecatClientAudio, PipecatClientProvider, useRTVIClientEvent } from "@pipecat-ai/client-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { BotIntro } from "./bots/BotIntro";
import { BotSelect } from "./bots/BotSelect";
import { type Bot, defaultBot } from "./bots/bots";
import { useBots } from "./bots/useBots";
import type { Conversations, Phase, Snapshot, Surroundings } from "./connection/conversations";
import { useConversations } from "./connection/useConversations";
import { CallControls } from "./controls/CallControls";
import { LostControls } from "./controls/LostControls";
import { useSendText } from "./controls/useSendText";
import { type Latency, latencyOf } from "./status/latency";
import { LatencyNote } from "./status/LatencyNote";
import { ProblemNote } from "./status/ProblemNote";
import { SearchNote } from "./status/SearchNote";
import { Status } from "./status/Status";
import { useTurn } from "./status/useTurn";
import type { Message } from "./transcript/messages";
import { Transcript } from "./transcript/Transcript";
import { useMessages } from "./transcript/useMessages";

export function App({ surroundings }: { readonly surroundings: Surroundings }) {
  const [conversations, snapshot] = useConversations(surroundings);
  return (
    <PipecatClientProvider client={snapshot.call.client}>
      <Page conversations={conversations} snapshot={snapshot} />
      <PipecatClientAudio />
    </PipecatClientProvider>
  );
}

interface PageProps {
  readonly conversations: Conversations;
  readonly snapshot: Snapshot;
}

function Page({ conversations, snapshot }: PageProps) {
  const { call, phase, problem, line, session } = snapshot;
  const [list, retryBots] = useBots();
  const [picked, setPicked] = useState<string>();
  const [withMicrophone, setWithMicrophone] = useState(true);
  const [turn, tellTurn] = useTurn();
  const [latency, forgetLatency] = useLatency();
  const messages = useMessages(snapshot);
  const sendText = useSendText();

  // A conversation that was going on before the page was loaded has its own.
  useEffect(() => {
    if (session?.bot !== undefined) setPicked(session.bot);
  }, [session]);

  const bots = list.state === "loaded" ? list.bots : [];
  const bot = bots.find((each) => each.id === picked) ?? defaultBot(bots);
  const idle = phase === "idle";

  const main = useRef<HTMLElement>(null);
  useEffect(() => {
    // The button that was pressed is gone; the keyboard goes on from here and not from the top of the page.
    if (document.activeElement === document.body) main.current?.focus();
  }, [idle]);

  const connect = (microphone: boolean) => {
    setWithMicrophone(microphone);
    conversations.connect({ bot: bot?.id, microphone });
  };
  const send = (text: string) => {
    tellTurn("user-text");
    // It tells of spoken questions; beside the answer to a typed one it would be another's.
    forgetLatency();
    void sendText(text);
  };
  const offerTyping = idle && problem?.kind === "microphone";

  return (
    <div className="page" data-phase={phase}>
      <header>
        <h1>Natter</h1>
        {latency && !idle && <LatencyNote latency={latency} />}
        <Status phase={phase} turn={turn} />
      </header>
      <main ref={main} tabIndex={-1}>
        <Conversation bot={bot} phase={phase} messages={messages} />
      </main>
      <footer>
        <SearchNote line={line} />
        {problem && (
          <ProblemNote
            problem={problem}
            onDismiss={() => conversations.dismissProblem()}
            onConnectTyping={offerTyping ? () => connect(false) : undefined}
          />
        )}
        {idle ? (
          <div className="controls">
            <BotSelect list={list} selected={bot} disabled={!idle} onSelect={setPicked} onRetry={retryBots} />
            <button type="button" className="connect" data-testid="connect" onClick={() => connect(true)}>
              Connect
            </button>
          </div>
        ) : phase === "lost" ? (
          <LostControls onRetry={() => conversations.retry()} onLeave={() => conversations.leave()} />
        ) : (
          <CallControls
            phase={phase}
            hasMicrophone={session ? call.microphone.isWanted : withMicrophone}
            onSend={send}
            onLeave={() => conversations.leave()}
          />
        )}
      </footer>
    </div>
  );
}

interface ConversationProps {
  readonly bot: Bot | undefined;
  readonly phase: Phase;
  readonly messages: readonly Message[];
}

/** The transcript; before there is one, who one is going to talk to. */
function Conversation({ bot, phase, messages }: ConversationProps) {
  // After the end of a conversation its words stay, until another bot is picked or the next conversation begins.
  const [talkedTo, setTalkedTo] = useState<string>();
  useEffect(() => {
    if (phase === "live") setTalkedTo(bot?.id);
  }, [phase, bot?.id]);
  const isOver = phase === "idle" && messages.length > 0 && talkedTo === bot?.id;
  if ((phase === "idle" && !isOver) || phase === "connecting") return <BotIntro bot={bot} />;
  return <Transcript messages={messages} botName={bot?.name ?? "Bot"} />;
}

/** How long the newest answer took, and what makes the page forget it. */
function useLatency(): readonly [Latency | undefined, () => void] {
  const [latency, setLatency] = useState<Latency>();
  const forget = useCallback(() => setLatency(undefined), []);
  useRTVIClientEvent(RTVIEvent.Connected, forget);
  useRTVIClientEvent(
    RTVIEvent.Metrics,
    useCallback((metrics: unknown) => setLatency((last) => latencyOf(metrics) ?? last), []),
  );
  return [latency, forget];
}
