import { usePipecatClientMediaTrack, usePipecatClientMicControl } from "@pipecat-ai/client-react";
import { useRef } from "react";
import { MicrophoneIcon } from "./icons";
import { useAudioLevel } from "./useAudioLevel";

/** Mutes and unmutes; its ring shows that, and how loud, the user is heard. */
export function MuteButton({ hasMicrophone }: { readonly hasMicrophone: boolean }) {
  const { isMicEnabled, enableMic } = usePipecatClientMicControl();
  const track = usePipecatClientMediaTrack("audio", "local");
  const button = useRef<HTMLButtonElement>(null);
  const on = hasMicrophone && isMicEnabled;
  useAudioLevel(on ? track : null, button);

  const label = !hasMicrophone ? "No microphone" : on ? "Mute" : "Unmute";
  return (
    <button
      type="button"
      ref={button}
      className="round mute"
      data-testid="mute"
      data-muted={!on}
      aria-pressed={!on}
      aria-label="Mute"
      title={label}
      disabled={!hasMicrophone}
      onClick={() => enableMic(!on)}
    >
      <MicrophoneIcon off={!on} />
    </button>
  );
}
