import { RTVIEvent, type RTVIMessage } from "@pipecat-ai/client-js";
import { useCallback, useEffect, useRef, useState } from "react";
import { Call, type CallOptions } from "./call";
import { lineOf } from "./peerConnection";
import { BOT_GONE, CONNECTION_LOST, type Problem, microphoneProblem, problemFrom, serverProblem } from "./problem";

export type Phase = "idle" | "connecting" | "live" | "reconnecting";

const LINE_POLL_MS = 500;

export interface CallState {
  /** The conversation in progress, or the next one, whose client is already wired to the page. */
  readonly call: Call;
  readonly phase: Phase;
  readonly problem: Problem | undefined;
  connect(options: CallOptions): void;
  leave(): void;
  dismissProblem(): void;
}

/** The page's conversation: one at a time, as many as wanted one after the other. */
export function useCall(createCall: () => Call): CallState {
  const [call, setCall] = useState(createCall);
  const [phase, setPhase] = useState<Phase>("idle");
  const [problem, setProblem] = useState<Problem>();

  const end = useCallback(
    (ended: Call, why: Problem | undefined) => {
      if (ended.hasLeft) return;
      void ended.leave();
      setCall(createCall());
      setPhase("idle");
      setProblem(why);
    },
    [createCall],
  );

  const connect = useCallback(
    (options: CallOptions) => {
      setProblem(undefined);
      setPhase("connecting");
      call.start(options).then(
        (ready) => ready && setPhase("live"),
        async (error: unknown) => end(call, await problemFrom(error)),
      );
    },
    [call, end],
  );

  const leave = useCallback(() => end(call, undefined), [call, end]);
  const dismissProblem = useCallback(() => setProblem(undefined), []);

  useCallEvents(call, phase, end, setProblem);
  useLine(call, phase, setPhase);
  return { call, phase, problem, connect, leave, dismissProblem };
}

/** Ends the conversation when the other side does, with the best reason heard so far. */
function useCallEvents(
  call: Call,
  phase: Phase,
  end: (call: Call, why: Problem) => void,
  report: (problem: Problem) => void,
): void {
  // The events come outside of React's rendering; they need the phase of now.
  const phaseNow = useRef(phase);
  useEffect(() => {
    phaseNow.current = phase;
  }, [phase]);

  useEffect(() => {
    const { client } = call;
    let reason: Problem | undefined;
    const inCall = () => phaseNow.current === "live" || phaseNow.current === "reconnecting";

    const onError = (message: RTVIMessage) => {
      // The client also tells about a failed start this way, with less than the exception that follows.
      if (message.type !== "error") return;
      const heard = serverProblem(message.data);
      if (heard.fatal) reason = heard;
      else report(heard);
    };
    const onBotGone = () => {
      reason ??= BOT_GONE;
    };
    const onDisconnected = () => {
      // While connecting, the exception from `call.start` tells more, unless the server gave a reason itself.
      if (inCall() || reason) end(call, reason ?? CONNECTION_LOST);
    };
    const onDeviceError = (error: Parameters<typeof microphoneProblem>[0]) => {
      if (inCall()) report(microphoneProblem(error));
    };
    client.on(RTVIEvent.Error, onError);
    client.on(RTVIEvent.BotDisconnected, onBotGone);
    client.on(RTVIEvent.Disconnected, onDisconnected);
    client.on(RTVIEvent.DeviceError, onDeviceError);
    return () => {
      client.off(RTVIEvent.Error, onError);
      client.off(RTVIEvent.BotDisconnected, onBotGone);
      client.off(RTVIEvent.Disconnected, onDisconnected);
      client.off(RTVIEvent.DeviceError, onDeviceError);
    };
  }, [call, end, report]);
}

/** Between "live" and "reconnecting": down twice in a row is down, a renegotiation in between is not worth a word. */
function useLine(call: Call, phase: Phase, setPhase: (phase: Phase) => void): void {
  const inCall = phase === "live" || phase === "reconnecting";
  useEffect(() => {
    if (!inCall) return;
    let downs = 0;
    const timer = setInterval(() => {
      const line = lineOf(call.transport);
      if (call.hasLeft || line === "unknown") return;
      downs = line === "down" ? downs + 1 : 0;
      if (downs === 0) setPhase("live");
      else if (downs === 2) setPhase("reconnecting");
    }, LINE_POLL_MS);
    return () => clearInterval(timer);
  }, [call, inCall, setPhase]);
}
