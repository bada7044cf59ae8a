import { LogLevel, logger } from "@pipecat-ai/client-js";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { Call } from "./connection/call";
import type { Surroundings } from "./connection/conversations";
import { recorded } from "./connection/recorder";
import type { Microphone } from "./connection/microphone";
import { mayListen } from "./connection/permission";
import { SessionStore } from "./connection/savedSession";
import { ownAlone } from "./connection/soleOwner";
import { playWhatWasHeldBack } from "./connection/sound";
import "./styles/theme.css";
import "./styles/layout.css";
import "./styles/controls.css";
import "./styles/transcript.css";

logger.setLevel(LogLevel.WARN);
playWhatWasHeldBack();

const newCall = (microphone: Microphone) => new Call(microphone);
const isEndToEndTest = new URLSearchParams(window.location.search).get("e2e") === "1";
const surroundings: Surroundings = {
  createCall: isEndToEndTest ? recorded(newCall) : newCall,
  store: new SessionStore(() => window.sessionStorage),
  own: ownAlone,
  mayListen,
};

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(<App surroundings={surroundings} />);
