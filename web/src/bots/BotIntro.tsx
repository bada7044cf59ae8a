import type { Bot } from "./bots";

/** Who one is about to talk to, and what it runs on. */
export function BotIntro({ bot }: { readonly bot: Bot | undefined }) {
  return (
    <section className="intro" aria-label="About this bot">
      <h2>{bot ? bot.name : "Talk to a bot"}</h2>
      <p className="intro-lead">
        {bot?.description || "Connect, say something, and it answers aloud. You can interrupt it at any time."}
      </p>
      {bot && bot.stages.length > 0 && (
        <dl className="stages">
          {bot.stages.map((stage) => (
            <div key={stage.name}>
              <dt>{stage.name}</dt>
              <dd>
                {stage.uses}
                {stage.note !== undefined && <small>{stage.note}</small>}
              </dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}
