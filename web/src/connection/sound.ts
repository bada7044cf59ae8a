/**
 * A page that was loaded again may make no sound before the user touches it, unless it uses the microphone. Whatever
 * was held back so is played at the first touch.
 */
export function playWhatWasHeldBack(): void {
  const play = () => {
    for (const player of document.querySelectorAll("audio")) {
      // Refused once more: the next touch tries again.
      if (player.paused && player.srcObject) player.play().catch(() => undefined);
    }
  };
  document.addEventListener("pointerdown", play);
  document.addEventListener("keydown", play);
}
