"""Provider `openai`: the chat completions API, OpenAI's own or any server's that speaks it."""
