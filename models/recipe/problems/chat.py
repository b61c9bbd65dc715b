"""Simple talk: a few intents, many phrasings, one honest answer for each. The split looks at the phrasing; the plainest
words of an intent are always trained on, so that nobody meets a model that never saw "hello"."""
from .text import Task

ABOUT = "arithmetic, comparing, sorting, units, counting letters and small word problems"
# intent: (thought, answer, level); levels without an intent of their own draw "no"
INTENTS = {
    "hello": ("A greeting.", "Hello! Ask me a small question with numbers.", 0),
    "how": ("They ask how I am.", "I am fine, thank you. Ask me a small question with numbers.", 1),
    "who": ("They ask who I am.",
            "I am fathom's own small model, trained from nothing. I am a demonstration, not DeepSeek's weights.", 0),
    "can": ("They ask what I can do.", f"I can do {ABOUT}.", 1),
    "thanks": ("They say thanks.", "You are welcome!", 0),
    "bye": ("They say goodbye.", "Goodbye!", 0),
    "no": ("This is outside what I learned.", f"I can't do that. I am a small model and only know {ABOUT}.", 3),
}
PLAIN = {
    "hello": ("hello", "hi", "hey", "good morning", "good evening", "good afternoon", "hello there", "hi there",
              "greetings", "good day", "hey there"),
    "how": ("how are you", "how do you do", "how is it going", "how are you doing", "are you well", "how do you feel"),
    "who": ("who are you", "what are you", "what is your name", "are you deepseek", "are you a real person",
            "tell me about yourself", "introduce yourself", "who made you", "what model are you", "are you chatgpt",
            "which model is this", "do you have a name", "are you a robot"),
    "can": ("what can you do", "how can you help me", "what are you good at", "what do you know", "help",
            "what can I ask you", "what are you able to do", "can you help me", "what questions can you answer"),
    "thanks": ("thanks", "thank you", "thank you very much", "many thanks", "thanks a lot", "that was helpful",
               "great, thanks", "well done", "good job", "nice work"),
    "bye": ("bye", "goodbye", "see you", "see you later", "good night", "bye bye", "farewell", "see you tomorrow",
            "have a nice day", "until next time"),
}
TOPICS = ("cats", "the sea", "love", "Paris", "China", "the moon", "history", "music", "football", "dogs", "my boss",
          "the weather", "a dragon", "space", "politics", "cooking", "London", "computers", "trees", "the war", "art",
          "my friend", "a robot", "Rome", "school", "money", "birds", "the king", "summer", "Africa")
REQUESTS = ("write a poem about {t}", "tell me a story about {t}", "tell me a joke about {t}", "what do you think of {t}",
            "write an essay about {t}", "what is the news about {t}", "explain {t} to me", "draw a picture of {t}",
            "who knows most about {t}", "write a song about {t}", "translate a text about {t}", "why do people like {t}",
            "find a book about {t}", "write a program about {t}", "what is the best film about {t}",
            "when did people first hear of {t}", "where can I learn about {t}", "send an email about {t}")
SINGLE = ("what is the weather like", "what time is it", "why is the sky blue", "what is the capital of France",
          "who is the president", "write some code", "tell me a joke", "write a poem", "what is the meaning of life",
          "who won the game", "translate this into German", "play some music", "what is the date today",
          "tell me a story", "open the door", "book a flight")
BEFORE = ("", "", "", "please ", "so, ", "hey, ", "ok, ", "well, ", "now, ", "tell me, ")
AFTER = ("", "", "", "?", ".", "!", ", please", ", my friend", ", fathom", " today", " now")


def draw(rng, level):
    intent = rng.choice([k for k, v in INTENTS.items() if v[2] == level] or ["no"])
    if intent == "no":
        if rng.random() < 0.25:
            phrase, plain = rng.choice(SINGLE), True
        else:
            phrase, plain = rng.choice(REQUESTS).format(t=rng.choice(TOPICS)), False
    else:
        phrase, plain = rng.choice(PLAIN[intent]), True
    before = rng.choice(BEFORE) if rng.random() < 0.5 else ""
    after = rng.choice(AFTER)
    return intent, plain and not before, before + phrase + after


def write(operands, rng):
    intent, _, text = operands
    thought, answer, _ = INTENTS[intent]
    if rng.random() < 0.6:
        text = text[0].upper() + text[1:]
    return text, thought, answer, answer


CHAT = Task(draw, lambda o: None if o[1] else o[2].rstrip("?.!"), write)
