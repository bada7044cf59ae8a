/** One part of the pipeline, as the server describes it. */
export interface Stage {
  readonly name: string;
  /** In a few words: what does the work, e.g. "Nova 3 · deepgram". */
  readonly uses: string;
  readonly note: string | undefined;
}

export interface Bot {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly language: string | undefined;
  readonly isDefault: boolean;
  readonly stages: readonly Stage[];
}

const STAGE_NAMES: Readonly<Record<string, string>> = {
  vad: "Turn-taking",
  stt: "Hears with",
  llm: "Thinks with",
  tts: "Speaks with",
};

/** The bots in an answer of `/api/bots`. What is missing is made up for; a bot without an id is left out. */
export function parseBots(answer: unknown): Bot[] {
  const list = record(answer)["bots"];
  return Array.isArray(list) ? list.flatMap(parseBot) : [];
}

/** The bot to begin with: the one marked default, else the first. */
export function defaultBot(bots: readonly Bot[]): Bot | undefined {
  return bots.find((bot) => bot.isDefault) ?? bots[0];
}

function parseBot(value: unknown): Bot[] {
  const bot = record(value);
  const id = text(bot["id"]);
  if (id === undefined) return [];
  return [
    {
      id,
      name: text(bot["name"]) ?? id,
      description: text(bot["description"]) ?? "",
      language: text(bot["language"]),
      isDefault: bot["default"] === true,
      stages: parseStages(bot["stages"]),
    },
  ];
}

function parseStages(value: unknown): Stage[] {
  const stages = record(value);
  return Object.entries(STAGE_NAMES).flatMap(([key, name]) => {
    const stage = record(stages[key]);
    const uses = inWords(text(stage["model"]) ?? text(stage["detail"]), text(stage["provider"]));
    return uses === undefined ? [] : [{ name, uses, note: text(stage["note"]) }];
  });
}

/** What does the work, and whose it is where that does not say so. Nobody needs to be told of what is built in. */
function inWords(what: string | undefined, provider: string | undefined): string | undefined {
  if (what === undefined) return provider;
  const said = what.charAt(0).toUpperCase() + what.slice(1);
  const isClear = provider === undefined || provider === "local" || what.toLowerCase().includes(provider.toLowerCase());
  return isClear ? said : `${said} · ${provider}`;
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : undefined;
}
