"""What is said in the latency bench: the caller's utterances, and what the emulated model answers to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from natter_bench.words import word_error_rate


@dataclass(frozen=True, slots=True)
class Utterance:
    """One of the caller's, with its reply. All words are in the lexicon of `natter_emulators.marks`."""

    text: str
    reply: str


UTTERANCES: Final = (
    Utterance("What is the capital of France?", "The capital of France is Paris. Have you been there?"),
    Utterance(
        "Can you tell me something about the moon?",
        "Sure, the moon goes around the earth once a month. It has no air, so the sky there is always black.",
    ),
    Utterance("How many days are there in a week?", "There are seven days in a week."),
    Utterance(
        "I would like to book a table for two.", "Sure, I can help you with that. What day would you like to come?"
    ),
    Utterance(
        "Tomorrow evening at eight, please.", "Let me see. Tomorrow at eight is free, so I can book that for you."
    ),
    Utterance("That sounds good to me.", "Great. What name should I put down for the table?"),
    Utterance(
        "Why is the sky blue in the daytime?",
        "It's blue because the air takes the blue light and gives it to you from everywhere.",
    ),
    Utterance(
        "What should I do on a rainy day?",
        "You could read a good book, cook something warm, or call a friend that you want to talk to again.",
    ),
    Utterance("Do you know a good story?", "I know a few. Would you like a happy one or a sad one?"),
    Utterance("I think a happy one would be nice.", "Then I will tell you about a small dog and a very big fish."),
    Utterance(
        "Where can I learn to play the piano?",
        "There may be a music school near you, and many people learn at home with a teacher or from a book.",
    ),
    Utterance(
        "How long does that take?",
        "It depends on how often you play, but most people can play an easy song after a few months.",
    ),
    Utterance(
        "Which animal is the largest in the world?",
        "The largest animal is the blue whale. It can be as long as three houses.",
    ),
    Utterance("No, I don't think so.", "All right, no problem. Is there anything else that you would like to know?"),
    Utterance("I feel ill and I am very tired.", "I'm sorry to hear that. Did you sleep well last night?"),
    Utterance("Not really, I went to bed too late.", "Then try to drink some water and to go to bed early tonight."),
    Utterance(
        "What is the weather like in London today?",
        "In London it is cloudy and cool today, about twelve degrees, with a little rain in the evening.",
    ),
    Utterance(
        "Should I take the train or the bus to the airport?",
        "Take the train. It is faster than the bus, and it costs about the same.",
    ),
    Utterance(
        "How do I make a good cup of tea?",
        "Begin with very hot water, leave the tea in it for three minutes, and then put in some milk if you like.",
    ),
    Utterance("Please remember that my name is Alex.", "Of course, Alex. I will remember that."),
    Utterance(
        "What time does the museum open on Sunday?",
        "On Sunday the museum opens at ten in the morning and closes at six.",
    ),
    Utterance(
        "My brother wants to buy a new computer next month.",
        "That's nice. Does he know what he wants to use it for, and how much he would like to pay?",
    ),
    Utterance(
        "Can you say that again a little slower?", "Of course. I asked what he wants to use the new computer for."
    ),
    Utterance(
        "Thank you very much for your help today.", "You're welcome, it was nice to talk to you. Have a good evening!"
    ),
)
"""3 to 12 words each, questions and statements, heard out to the end of their replies."""

LONG_UTTERANCES: Final = (
    Utterance(
        "Please tell me a long story about a dog and a cat.",
        "Once there was a dog and a cat in a small house near the sea. Every morning the dog went down to the "
        "beach, and the cat would sit in the window until noon. One day the dog did not come back until late in "
        "the evening.",
    ),
    Utterance(
        "How do people cross the ocean in a small boat?",
        "People who cross the ocean in a small boat plan for many months before they leave. They need food and "
        "water for about thirty days, a good phone, and somebody at home who looks at the weather for them every "
        "day.",
    ),
    Utterance(
        "Describe a walk through the forest in autumn.",
        "Think of a quiet road between old trees, yellow and red and brown. It is cold, but the sun is out, and "
        "there is no wind. Somewhere above you a bird begins to sing, and then everything is quiet again.",
    ),
    Utterance(
        "Tell me everything about the history of music.",
        "That is a very long history. People made music long before they could write, with their voices and with a "
        "piece of wood. Later there were songs for work, songs for love, and songs for every day of the year.",
    ),
    Utterance(
        "What happens in a large city at night?",
        "At night a large city is never really quiet. People make bread for the next morning, clean the road, and "
        "drive the last bus home. If you listen you can hear a train far away.",
    ),
    Utterance(
        "Explain to me why it is warm in summer.",
        "It is warm in summer because the sun is high in the sky, and because the days are longer. So the earth "
        "has more time to get warm than it has at night to get cold again, and it gets a little more warm every "
        "day.",
    ),
    Utterance(
        "Help me plan a weekend with my family in Berlin.",
        "On Saturday I would begin with breakfast in a small coffee house, and then take the children to the "
        "museum. In the afternoon you can walk along the river. On Sunday there is a large market, and after that "
        "you could take a boat.",
    ),
    Utterance(
        "What do you think makes a good teacher?",
        "I think that a good teacher will listen first. Then they find out what you know already, and they begin "
        "there and not somewhere else. They let you try things and get them wrong, and to them no question is a "
        "bad question.",
    ),
)
"""Their replies, of over ten seconds, are interrupted."""

INTERRUPTION: Final = "Stop, wait a moment please, I have another question."
AFTER_INTERRUPTION: Final = "Of course, go on. What would you like to know?"
NOT_UNDERSTOOD: Final = "I'm sorry, I didn't catch that. Could you say it again?"

_MOST_WRONG: Final = 0.7


def reply_to(messages: Sequence[Mapping[str, Any]]) -> str:
    """The reply that goes with the last user message of a chat request.

    It is that of the utterance nearest in words: a message that holds a misheard word, or only the first words, or
    two utterances in one, gets a sensible answer too.
    """
    said = next((_text(one.get("content")) for one in reversed(messages) if one.get("role") == "user"), "")
    nearest = min(_ALL, key=lambda utterance: word_error_rate(utterance.text, said))
    return nearest.reply if word_error_rate(nearest.text, said) <= _MOST_WRONG else NOT_UNDERSTOOD


def _text(content: Any) -> str:
    """Of a message: a string, or a list of parts."""
    if isinstance(content, str):
        return content
    parts = cast("list[dict[str, Any]]", content) if isinstance(content, list) else []
    return " ".join(str(part.get("text", "")) for part in parts)


_ALL: Final = (*UTTERANCES, *LONG_UTTERANCES, Utterance(INTERRUPTION, AFTER_INTERRUPTION))
