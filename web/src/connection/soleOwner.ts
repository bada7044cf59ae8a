/** A page that was left gives its locks back as it goes, which may be a moment after the next one is there. */
const LOCK_WITHIN_MS = 1_000;

/**
 * Makes sure that no other tab of this browser has the same conversation: a duplicated tab has a copy of all that is
 * stored, and two pages would take one conversation from each other for ever.
 *
 * @returns a function that gives it free; undefined when another tab has it
 */
export async function ownAlone(sessionId: string): Promise<(() => void) | undefined> {
  // Browsers leave `locks` out of pages that came over plain http, which get no microphone either.
  const locks = (navigator as Partial<Navigator>).locks;
  if (!locks) return () => undefined;
  // What follows the dot is the secret, and no part of the name.
  const name = `natter-session-${sessionId.split(".")[0] ?? ""}`;
  return await new Promise((resolve) => {
    const held = locks.request(name, { signal: AbortSignal.timeout(LOCK_WITHIN_MS) }, () => {
      return new Promise<void>((release) => resolve(release));
    });
    held.catch(() => resolve(undefined));
  });
}
