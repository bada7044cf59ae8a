import { type RefObject, useEffect } from "react";

/** What is shown as silence and as loud, dBFS. */
const QUIET_DB = -55;
const LOUD_DB = -15;
/** Part of the way back to silence in one frame: a meter that jumps down flickers. */
const FALL_PER_FRAME = 0.12;

/** How much of a meter a block of samples fills, 0 to 1. */
export function levelOf(samples: Float32Array): number {
  let energy = 0;
  for (const sample of samples) energy += sample * sample;
  const db = 10 * Math.log10(energy / Math.max(1, samples.length) + 1e-10);
  return Math.min(1, Math.max(0, (db - QUIET_DB) / (LOUD_DB - QUIET_DB)));
}

/**
 * Writes the track's level, 0 to 1, to the element's `--level` with every frame. Past React on purpose: sixty
 * renderings a second of the page would be paid for a bar.
 */
export function useAudioLevel(track: MediaStreamTrack | null, element: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const target = element.current;
    if (!track || !target) return;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);

    const samples = new Float32Array(analyser.fftSize);
    let shown = 0;
    let frame = requestAnimationFrame(function draw() {
      analyser.getFloatTimeDomainData(samples);
      shown = Math.max(levelOf(samples), shown - FALL_PER_FRAME);
      target.style.setProperty("--level", shown.toFixed(2));
      frame = requestAnimationFrame(draw);
    });
    return () => {
      cancelAnimationFrame(frame);
      target.style.removeProperty("--level");
      void context.close();
    };
  }, [track, element]);
}
