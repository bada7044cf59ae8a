import { RTVIEvent } from "@pipecat-ai/client-js";
import { PipecatClientAudio, PipecatClientProvider, usePipecatConversation, useRTVIClientEvent } from "@pipecat-ai/client-react";
import { useCallback, useEffect, useRef, useState } from "react";
import { BotIntro } from "./bots/BotIntro";
import { BotSelect } from "./bots/BotSelect";
import { type Bot, defaultBot } from "./bots/bots";
import { useBots } from "./bots/useBots";
import type { Call } from "./connection/call";
import { type CallState, type Phase, useCall } from "./connection/useCall";
import { CallControls } from "./controls/CallControls";
import { useSendText } from "./controls/useSendText";
import { type Latency, latencyOf } from "./status/latency";
import { LatencyNote } from "./status/LatencyNote";
import { ProblemNote } from "./status/ProblemNote";
import { Status } from "./status/Status";
import { useTurn } from "./status/useTurn";
import { Transcript } from "./transcript/Transcript";

export function App({ createCall }: { readonly createCall: () => Call }) {
  const state = useCall(createCall);
  return (
    <PipecatClientProvider client={state.call.client}>
      <Page state={state} />
      <PipecatClientAudio />
    </PipecatClientProvider>
  );
}

function Page({ state }: { readonly state: CallState }) {
  const { phase, problem } = state;
  const [list, retryBots] = useBots();
  const [picked, setPicked] = useState<string>();
  const [withMicrophone, setWithMicrophone] = useState(true);
  const [turn, tellTurn] = useTurn();
  const [latency, forgetLatency] = useLatency();
  const sendText = useSendText();

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
    state.connect({ bot: bot?.id, microphone });
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
        <Conversation bot={bot} phase={phase} />
      </main>
      <footer>
        {problem && (
          <ProblemNote
            problem={problem}
            onDismiss={state.dismissProblem}
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
        ) : (
          <CallControls
            phase={phase}
            hasMicrophone={withMicrophone}
            onSend={send}
            onLeave={state.leave}
          />
        )}
      </footer>
    </div>
  );
}

/** The transcript; before there is one, who one is going to talk to. */
function Conversation({ bot, phase }: { readonly bot: Bot | undefined; readonly phase: Phase }) {
  const { messages } = usePipecatConversation();
  // After the end of a conversation its words stay, until another bot is picked or the next conversation begins.
  const [talkedTo, setTalkedTo] = useState<string>();
  useEffect(() => {
    if (phase === "live") setTalkedTo(bot?.id);
  }, [phase, bot?.id]);
  const over = phase === "idle" && messages.length > 0 && talkedTo === bot?.id;
  if (phase === "live" || phase === "reconnecting" || over) return <Transcript botName={bot?.name ?? "Bot"} />;
  return <BotIntro bot={bot} />;
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
