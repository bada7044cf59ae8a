import { LogLevel, logger } from "@pipecat-ai/client-js";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { Call } from "./connection/call";
import { recorded } from "./connection/recorder";
import "./styles/theme.css";
import "./styles/layout.css";
import "./styles/controls.css";
import "./styles/transcript.css";

logger.setLevel(LogLevel.WARN);

const newCall = () => new Call();
const isEndToEndTest = new URLSearchParams(window.location.search).get("e2e") === "1";
const createCall = isEndToEndTest ? recorded(newCall) : newCall;

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(<App createCall={createCall} />);
