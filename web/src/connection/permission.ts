/** Whether the microphone can be opened without asking the user. A browser that does not tell would ask. */
export async function mayListen(): Promise<boolean> {
  const permissions = (navigator as Partial<Navigator>).permissions;
  if (!permissions) return false;
  try {
    return (await permissions.query({ name: "microphone" })).state === "granted";
  } catch (error) {
    // A browser that does not know this name.
    if (error instanceof TypeError) return false;
    throw error;
  }
}
