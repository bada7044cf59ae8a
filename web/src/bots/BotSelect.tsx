import type { Bot } from "./bots";
import type { BotList } from "./useBots";

interface Props {
  readonly list: BotList;
  readonly selected: Bot | undefined;
  readonly disabled: boolean;
  onSelect(id: string): void;
  onRetry(): void;
}

export function BotSelect({ list, selected, disabled, onSelect, onRetry }: Props) {
  if (list.state === "failed") {
    return (
      <p className="bots-failed" role="alert">
        The list of bots could not be loaded.{" "}
        <button type="button" className="link" onClick={onRetry}>
          Try again
        </button>
      </p>
    );
  }
  const bots = list.state === "loaded" ? list.bots : [];
  const empty = list.state === "loading" ? "Loading…" : "The server's default bot";
  return (
    <label className="bot-select">
      <span>Talk to</span>
      <select
        data-testid="bot-select"
        disabled={disabled || bots.length === 0}
        value={selected?.id ?? ""}
        onChange={(event) => onSelect(event.target.value)}
      >
        {bots.length === 0 && <option value="">{empty}</option>}
        {bots.map((bot) => (
          <option key={bot.id} value={bot.id}>
            {bot.name}
          </option>
        ))}
      </select>
    </label>
  );
}
