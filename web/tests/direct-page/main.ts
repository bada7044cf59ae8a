/**
 * The least that somebody else's page does: the official client with a media manager that comes with it, no `/start`,
 * the offer straight to a gateway of another origin. `?gateway=URL&bot=ID`; the end-to-end tests build and serve it.
 */
import { PipecatClient, RTVIEvent } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport, WavMediaManager } from "@pipecat-ai/small-webrtc-transport";

const query = new URLSearchParams(window.location.search);
const endpoint = `${query.get("gateway") ?? ""}/api/offer`;
const requestData = { bot: query.get("bot") };

const client = new PipecatClient({
  transport: new SmallWebRTCTransport({ mediaManager: new WavMediaManager(undefined, 48_000) }),
  enableMic: true,
  enableCam: false,
});

let id = "";
const state = {
  ready: false,
  error: "",
  events: [] as RTVIEvent[],
  send: (text: string) => client.sendText(text),
  id: () => id,
};
Object.assign(window, { direct: state });
for (const type of Object.values(RTVIEvent)) client.on(type, () => state.events.push(type));

client.on(RTVIEvent.BotConnected, (bot) => (id = bot.id));
client.on(RTVIEvent.TrackStarted, (track, participant) => {
  const player = document.querySelector("audio");
  if (player && !participant?.local && track.kind === "audio") player.srcObject = new MediaStream([track]);
});

document.getElementById("connect")?.addEventListener("click", () => {
  client.connect({ webrtcRequestParams: { endpoint, requestData } }).then(
    () => (state.ready = true),
    (error: unknown) => (state.error = String(error)),
  );
});
document.getElementById("disconnect")?.addEventListener("click", () => void client.disconnect());
