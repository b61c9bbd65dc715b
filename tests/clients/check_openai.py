"""The openai SDK against a running fathom serve."""

import asyncio
import base64
import os
import sys
import time
from typing import Literal

import httpx
import openai
from pydantic import BaseModel

from harness import CHECKS, KEY, URL, as_json, check, expect, raises, run_all

client = openai.OpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0)
beta = openai.OpenAI(base_url=URL + "/beta", api_key=KEY, max_retries=0)
QUESTION = [{"role": "user", "content": "What is 47 * 68?"}]
ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds two numbers",
        "parameters": {
            "type": "object",
            "properties": {
                "a": {"type": "integer", "minimum": 0, "maximum": 999},
                "b": {"type": "integer", "minimum": 0, "maximum": 999},
            },
            "required": ["a", "b"],
            "additionalProperties": False,
        },
    },
}
PAINT = {
    "type": "function",
    "function": {
        "name": "paint",
        "parameters": {
            "type": "object",
            "properties": {"colour": {"type": "string", "enum": ["red", "green", "blue"]}},
            "required": ["colour"],
            "additionalProperties": False,
        },
    },
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "sum",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"ok": {"type": "boolean"}, "n": {"type": "integer", "minimum": 0, "maximum": 99}},
            "required": ["ok", "n"],
            "additionalProperties": False,
        },
    },
}


def ask(model="deepseek-chat", **more):
    more.setdefault("messages", QUESTION)
    more.setdefault("temperature", 0)
    more.setdefault("max_tokens", 300)
    return client.chat.completions.create(model=model, **more)


def content(answer):
    return answer.choices[0].message.content


def joined(stream, part="content", index=0):
    return "".join(
        getattr(c.delta, part, None) or "" for chunk in stream for c in chunk.choices if c.index == index
    )


# --- models -----------------------------------------------------------------------------------------------------------------


@check("models are listed")
def _():
    names = [m.id for m in client.models.list()]
    expect({"deepseek-chat", "deepseek-reasoner", "fathom-r1-mini"} <= set(names), names)


@check("a model is retrieved by name")
def _():
    expect(client.models.retrieve("deepseek-chat").object == "model")


@check("an unknown model is NotFoundError")
def _():
    raises(openai.NotFoundError, lambda: client.models.retrieve("gpt-4"), code="model_not_found")


@check("an unknown model in a chat is NotFoundError and names the field")
def _():
    raises(openai.NotFoundError, lambda: ask("gpt-4"), code="model_not_found", param="model")


# --- chat -------------------------------------------------------------------------------------------------------------------


@check("a chat answers")
def _():
    a = ask()
    expect(a.object == "chat.completion" and a.choices[0].message.role == "assistant" and content(a), a)
    expect(a.choices[0].finish_reason == "stop", a)


@check("a reasoning profile has reasoning_content beside content")
def _():
    m = ask("deepseek-reasoner").choices[0].message
    expect(m.reasoning_content and m.content and "think>" not in m.reasoning_content + m.content, m)


@check("a reasoning profile gets the product right")
def _():
    expect("3196" in content(ask("deepseek-reasoner")))


@check("a chat profile has no reasoning_content")
def _():
    expect(getattr(ask().choices[0].message, "reasoning_content", None) is None)


@check("a chat profile of a model that only reasons thinks unseen")
def _():
    chat, reasoner = ask(), ask("deepseek-reasoner")
    expect(content(chat) == content(reasoner) and "3196" in content(chat), chat, reasoner)
    expect(chat.usage.completion_tokens == reasoner.usage.completion_tokens, chat.usage, reasoner.usage)
    expect(chat.usage.completion_tokens_details.reasoning_tokens == reasoner.usage.completion_tokens_details.reasoning_tokens > 20, chat.usage)


@check("a stream that thinks unseen begins before its answer, and has no reasoning")
def _():
    chunks = list(ask(stream=True, logprobs=True))
    first = chunks[0].choices[0].delta
    expect(first.role == "assistant" and first.content == "", chunks[0])
    expect(not any(getattr(c.delta, "reasoning_content", None) for chunk in chunks for c in chunk.choices), chunks)
    expect(joined(chunks) == content(ask()))
    named = [t.token for chunk in chunks for c in chunk.choices if c.logprobs for t in c.logprobs.content or []]
    expect("".join(named) == content(ask()), named)


@check("max_tokens counts the reasoning that is not shown")
def _():
    a = ask(max_tokens=10)
    expect(content(a) == "" and a.choices[0].finish_reason == "length", a)
    expect(a.usage.completion_tokens == a.usage.completion_tokens_details.reasoning_tokens == 10, a.usage)


@check("a stop text inside the reasoning ends nothing")
def _():
    m = ask("deepseek-reasoner").choices[0].message
    word = m.reasoning_content.split()[1]
    expect(len(word) > 1 and word not in m.content, m)
    for model in ("deepseek-chat", "deepseek-reasoner"):
        expect(content(ask(model, stop=word)) == m.content, model, word)


@check("thinking can be switched off for a reasoning profile")
def _():
    m = ask("deepseek-reasoner", extra_body={"thinking": {"type": "disabled"}}).choices[0].message
    expect(getattr(m, "reasoning_content", None) is None, m)


@check("the model's own name works")
def _():
    expect(ask("fathom-r1-mini").model == "fathom-r1-mini")


@check("usage adds up")
def _():
    u = ask("deepseek-reasoner").usage
    expect(u.total_tokens == u.prompt_tokens + u.completion_tokens, u)
    expect(0 < u.completion_tokens_details.reasoning_tokens < u.completion_tokens, u)
    expect(u.prompt_cache_hit_tokens + u.prompt_cache_miss_tokens == u.prompt_tokens, u)


@check("a long prompt is cached the second time")
def _():
    m = [{"role": "user", "content": "What is 12 + 34? " * 20}]
    ask(messages=m, max_tokens=1)
    u = ask(messages=m, max_tokens=1).usage
    expect(u.prompt_tokens_details.cached_tokens >= 64, u)


@check("identity: id, created and fingerprint are there")
def _():
    a = ask(max_tokens=1)
    expect(a.id.startswith("chatcmpl-") and abs(a.created - time.time()) < 60 and a.system_fingerprint, a)


@check("the same seed gives the same text, another one another")
def _():
    thought = lambda seed: ask("deepseek-reasoner", seed=seed, temperature=2, top_p=1, max_tokens=20).choices[0].message.reasoning_content
    one, two = thought(5), thought(5)
    others = {thought(s) for s in (6, 7, 8)}
    expect(one == two and others != {one}, one, two, others)


@check("greedy answers repeat")
def _():
    expect(content(ask()) == content(ask()))


@check("n gives that many choices")
def _():
    expect([c.index for c in ask(n=3, temperature=1).choices] == [0, 1, 2])


@check("max_tokens ends with length")
def _():
    a = ask(max_tokens=3)
    expect(a.choices[0].finish_reason == "length" and a.usage.completion_tokens == 3, a)


@check("max_completion_tokens does so too")
def _():
    a = client.chat.completions.create(model="deepseek-chat", messages=QUESTION, temperature=0, max_completion_tokens=3)
    expect(a.choices[0].finish_reason == "length" and a.usage.completion_tokens == 3, a)


@check("a stop text ends the answer")
def _():
    a = ask(stop="boxed")
    expect(a.choices[0].finish_reason == "stop" and "boxed" not in content(a), a)


@check("the first of several stop texts counts")
def _():
    expect(content(ask(stop=["boxed", " is"])) == "The answer", content(ask(stop=["boxed", " is"])))


@check("a system message is taken")
def _():
    expect(content(ask(messages=[{"role": "system", "content": "Be brief."}] + QUESTION)))


@check("a developer message is taken")
def _():
    expect(content(ask(messages=[{"role": "developer", "content": "Be brief."}] + QUESTION)))


@check("earlier turns are taken")
def _():
    expect(content(ask(messages=QUESTION + [{"role": "assistant", "content": "3196"}] + QUESTION)))


@check("content in parts is the same prompt")
def _():
    parts = [{"type": "text", "text": "What is 47"}, {"type": "text", "text": " * 68?"}]
    expect(content(ask(messages=[{"role": "user", "content": parts}])) == content(ask()))


@check("every response has a request id")
def _():
    r = client.chat.completions.with_raw_response.create(model="deepseek-chat", messages=QUESTION, max_tokens=1)
    expect(r.headers["x-request-id"].startswith("req-"))
    expect(r.parse()._request_id == r.headers["x-request-id"])


@check("unknown fields are ignored")
def _():
    expect(content(ask(user="u", metadata={"a": "b"}, store=False, extra_body={"whatever": [1, 2]})))


@check("penalties change a text and are no error")
def _():
    expect(content(ask(presence_penalty=2, frequency_penalty=2)))


@check("special tokens in a message are text")
def _():
    m = [{"role": "user", "content": "<｜Assistant｜></think>The answer is <｜end▁of▁sentence｜>"}]
    expect(ask(messages=m, max_tokens=4).usage.prompt_tokens > 20)


# --- log-probabilities ---------------------------------------------------------------------------------------------------------


@check("logprobs name every token")
def _():
    a = ask(logprobs=True)
    expect("".join(t.token for t in a.choices[0].logprobs.content) == content(a), a)
    expect(all(t.logprob <= 0 for t in a.choices[0].logprobs.content))


@check("top_logprobs gives as many, the likeliest first")
def _():
    for t in ask(logprobs=True, top_logprobs=5).choices[0].logprobs.content:
        values = [o.logprob for o in t.top_logprobs]
        expect(len(values) == 5 and values == sorted(values, reverse=True) and values[0] == t.logprob, t)


@check("bytes of logprobs are the text")
def _():
    a = ask(logprobs=True)
    expect(bytes(b for t in a.choices[0].logprobs.content for b in t.bytes).decode() == content(a))


@check("logprobs of reasoning are apart")
def _():
    l = ask("deepseek-reasoner", logprobs=True).choices[0].logprobs
    expect(l.reasoning_content and l.content, l)


# --- streams --------------------------------------------------------------------------------------------------------------------


@check("a stream joins to the whole answer")
def _():
    expect(joined(ask(stream=True)) == content(ask()))


@check("a stream begins with the role")
def _():
    expect(next(iter(ask(stream=True))).choices[0].delta.role == "assistant")


@check("only the last chunk of a stream has a finish_reason")
def _():
    reasons = [c.finish_reason for chunk in ask(stream=True) for c in chunk.choices]
    expect(reasons[-1] == "stop" and set(reasons[:-1]) == {None}, reasons)


@check("include_usage adds a chunk without choices")
def _():
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    expect(chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0, chunks[-1])
    expect(all(c.usage is None for c in chunks[:-1]))


@check("without include_usage there is none")
def _():
    expect(all(c.usage is None for c in ask(stream=True)))


@check("reasoning streams before content")
def _():
    kinds = []
    for chunk in ask("deepseek-reasoner", stream=True):
        d = chunk.choices[0].delta
        kinds += ["r"] * bool(getattr(d, "reasoning_content", None)) + ["c"] * bool(d.content)
    expect("".join(kinds).lstrip("r").strip("c") == "" and {"r", "c"} == set(kinds), kinds)


@check("reasoning of a stream is that of the whole answer")
def _():
    whole = ask("deepseek-reasoner").choices[0].message.reasoning_content
    expect(joined(ask("deepseek-reasoner", stream=True), "reasoning_content") == whole)


@check("logprobs stream with their tokens")
def _():
    tokens = [t.token for chunk in ask(stream=True, logprobs=True) for c in chunk.choices if c.logprobs for t in c.logprobs.content or []]
    expect("".join(tokens) == content(ask()), tokens)


@check("choices of a stream interleave and are whole")
def _():
    chunks = list(ask(stream=True, n=3))
    texts = {joined(chunks, index=i) for i in range(3)}
    expect(texts == {content(ask())}, texts)


@check("a stream can be left early")
def _():
    for _ in range(3):
        with ask("deepseek-reasoner", stream=True) as stream:
            next(iter(stream))
    expect(content(ask()))


@check("the raw stream ends with [DONE]")
def _():
    body = {"model": "deepseek-chat", "messages": QUESTION, "stream": True, "max_tokens": 4}
    r = httpx.post(URL + "/chat/completions", json=body, headers={"Authorization": f"Bearer {KEY}"})
    expect(r.headers["content-type"].startswith("text/event-stream") and r.text.endswith("data: [DONE]\n\n"), r.text)


@check("the SDK's stream helper accumulates the answer")
def _():
    with client.chat.completions.stream(model="deepseek-chat", messages=QUESTION, temperature=0, max_tokens=300) as stream:
        for _ in stream:
            pass
        expect(stream.get_final_completion().choices[0].message.content == content(ask()))


@check("the asynchronous client streams")
def _():
    async def go():
        async with openai.AsyncOpenAI(base_url=URL, api_key=KEY) as c:
            stream = await c.chat.completions.create(model="deepseek-chat", messages=QUESTION, temperature=0, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    expect(asyncio.run(go()) == content(ask()))


@check("many requests at once get their own answers")
def _():
    async def go():
        async with openai.AsyncOpenAI(base_url=URL, api_key=KEY) as c:
            calls = [
                c.chat.completions.create(
                    model="deepseek-reasoner", temperature=0, messages=[{"role": "user", "content": f"What is {i} + {i}?"}]
                )
                for i in range(11, 23)
            ]
            return [a.choices[0].message.content for a in await asyncio.gather(*calls)]

    answers = asyncio.run(go())
    right = sum(str(2 * i) in a for i, a in zip(range(11, 23), answers))
    expect(right >= 10, answers)


# --- tools ------------------------------------------------------------------------------------------------------------------------


def arguments(call):
    value = as_json(call.function.arguments)
    expect(set(value) == {"a", "b"} and all(isinstance(v, int) and 0 <= v <= 999 for v in value.values()), value)
    return value


@check("a required tool is called with arguments that fit")
def _():
    a = ask(tools=[ADD], tool_choice="required", parallel_tool_calls=False)  # the model learned no tools: of several calls it finds no end
    expect(a.choices[0].finish_reason == "tool_calls", a)
    for call in a.choices[0].message.tool_calls:
        expect(call.type == "function" and call.function.name == "add" and call.id, call)
        arguments(call)


@check("the named one of several tools is called")
def _():
    calls = ask(tools=[ADD, PAINT], tool_choice={"type": "function", "function": {"name": "paint"}}).choices[0].message.tool_calls
    expect(calls and all(c.function.name == "paint" for c in calls), calls)
    expect(as_json(calls[0].function.arguments)["colour"] in ("red", "green", "blue"), calls)


@check("parallel_tool_calls false gives one call")
def _():
    expect(len(ask(tools=[ADD], tool_choice="required", parallel_tool_calls=False).choices[0].message.tool_calls) == 1)


@check("tool_choice none calls nothing")
def _():
    a = ask(tools=[ADD], tool_choice="none")
    expect(not a.choices[0].message.tool_calls and content(a), a)


@check("tool_choice auto answers or calls")
def _():
    m = ask(tools=[ADD], max_tokens=200).choices[0].message
    expect(m.content or m.tool_calls, m)


@check("a reasoning profile thinks, then calls")
def _():
    question = [{"role": "user", "content": "What is 347 + 268?"}]
    more = {"messages": question, "tools": [ADD], "tool_choice": "required", "parallel_tool_calls": False, "max_tokens": 700}
    m = ask("deepseek-reasoner", **more).choices[0].message
    expect(m.reasoning_content and arguments(m.tool_calls[0]) and "think>" not in str(m), m)
    hidden = ask(**more).choices[0].message
    expect(not hasattr(hidden, "reasoning_content") and arguments(hidden.tool_calls[0]) == arguments(m.tool_calls[0]), hidden)


@check("a streamed call joins to the whole one")
def _():
    name, text, ids, reasons = "", "", set(), []
    for chunk in ask(stream=True, tools=[ADD], tool_choice="required", parallel_tool_calls=False):
        reasons.append(chunk.choices[0].finish_reason)
        for call in chunk.choices[0].delta.tool_calls or []:
            expect(call.index == 0, call)
            name += call.function.name or ""
            text += call.function.arguments or ""
            ids |= {call.id} - {None}
    whole = ask(tools=[ADD], tool_choice="required", parallel_tool_calls=False).choices[0].message.tool_calls[0]
    expect(name == "add" and text == whole.function.arguments and len(ids) == 1 and reasons[-1] == "tool_calls", name, text, ids, whole)


@check("a tool's output is taken")
def _():
    call = ask(tools=[ADD], tool_choice="required", parallel_tool_calls=False).choices[0].message
    m = QUESTION + [call.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.tool_calls[0].id, "content": "3196"}]
    expect(ask(messages=m, tools=[ADD], tool_choice="none", max_tokens=8).choices[0].message.content is not None)


@check("a tool's name that is none is BadRequestError")
def _():
    bad = {"type": "function", "function": {"name": "a b", "parameters": {"type": "object"}}}
    raises(openai.BadRequestError, lambda: ask(tools=[bad], tool_choice="required"), param="tools")


@check("a tool_choice that is no tool is BadRequestError")
def _():
    choice = {"type": "function", "function": {"name": "subtract"}}
    raises(openai.BadRequestError, lambda: ask(tools=[ADD], tool_choice=choice), param="tool_choice")


# --- JSON -------------------------------------------------------------------------------------------------------------------------


@check("json_object parses")
def _():
    a = ask(response_format={"type": "json_object"}, max_tokens=600)
    if a.choices[0].finish_reason == "stop":
        expect(isinstance(as_json(content(a)), dict), a)
    else:
        expect(content(a).lstrip().startswith("{"), a)


@check("json_schema fits")
def _():
    a = ask(response_format=SCHEMA)
    value = as_json(content(a))
    expect(set(value) == {"ok", "n"} and isinstance(value["ok"], bool) and 0 <= value["n"] <= 99, value)
    expect(a.choices[0].finish_reason == "stop", a)


@check("json_schema fits at a high temperature, in every choice")
def _():
    for c in ask(response_format=SCHEMA, temperature=2, top_p=1, n=8, seed=1).choices:
        expect(set(as_json(c.message.content)) == {"ok", "n"}, c)


@check("a reasoning profile thinks, then fits the schema")
def _():
    m = ask("deepseek-reasoner", response_format=SCHEMA, max_tokens=700).choices[0].message
    expect(m.reasoning_content and set(as_json(m.content)) == {"ok", "n"}, m)


@check("a streamed value is the whole one")
def _():
    expect(joined(ask(response_format=SCHEMA, stream=True)) == content(ask(response_format=SCHEMA)))


@check("pydantic models are parsed")
def _():
    class Verdict(BaseModel):
        right: bool
        colour: Literal["red", "green"]

    a = client.chat.completions.parse(model="deepseek-chat", messages=QUESTION, temperature=0, response_format=Verdict)
    expect(isinstance(a.choices[0].message.parsed, Verdict), a)


@check("a schema's keyword that is not supported is BadRequestError")
def _():
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "integer", "multipleOf": 3}}}
    e = raises(openai.BadRequestError, lambda: ask(response_format=schema), param="response_format")
    expect("multipleOf" in str(e), e)


@check("an unknown response_format is BadRequestError")
def _():
    raises(openai.BadRequestError, lambda: ask(response_format={"type": "xml"}), param="response_format")


# --- completions ---------------------------------------------------------------------------------------------------------------------


def complete(**more):
    more.setdefault("prompt", "The answer is")
    more.setdefault("max_tokens", 6)
    return client.completions.create(model="fathom-r1-mini", temperature=0, **more)


def tokenize(text):
    return httpx.post(URL + "/tokenize", json={"text": text, "add_special": True}, headers={"Authorization": f"Bearer {KEY}"}).json()["tokens"]


@check("a text is completed")
def _():
    a = complete()
    expect(a.object == "text_completion" and a.choices[0].text and a.usage.completion_tokens <= 6, a)


@check("echo repeats the prompt")
def _():
    expect(complete(echo=True).choices[0].text == "The answer is" + complete().choices[0].text)


@check("logprobs of a completion have offsets")
def _():
    l = complete(logprobs=2).choices[0].logprobs
    expect(l.text_offset[0] == 0 and l.text_offset[1] == len(l.tokens[0]) and len(l.top_logprobs) == len(l.tokens), l)


def named(choice):
    """Every token's text, cut out of the choice's by its offset."""
    offsets = choice.logprobs.text_offset + [len(choice.text)]
    return [choice.text[a:b] for a, b in zip(offsets, offsets[1:])]


@check("the alternatives of a completion's token include it")
def _():
    l = complete(logprobs=1, seed=3, extra_body={"top_k": 50}).choices[0].logprobs
    for token, logprob, top in zip(l.tokens, l.token_logprobs, l.top_logprobs):
        expect(top[token] == logprob and logprob <= max(top.values()), token, logprob, top)


@check("echo with logprobs scores the prompt: the first token has none, offsets cut out every token")
def _():
    c = complete(echo=True, logprobs=2).choices[0]
    l = c.logprobs
    expect(l.token_logprobs[0] is None and l.top_logprobs[0] is None, l)
    expect(all(p < 0 for p in l.token_logprobs[1:]) and all(2 <= len(t) <= 3 for t in l.top_logprobs[1:]), l)
    expect(len(l.tokens) == 3 + 6 and named(c) == l.tokens, l, c.text)


@check("max_tokens 0 scores a prompt and writes nothing")
def _():
    a = complete(echo=True, logprobs=1, max_tokens=0)
    c = a.choices[0]
    expect(c.text == "The answer is" and c.finish_reason == "length" and a.usage.completion_tokens == 0, a)
    expect(c.logprobs.tokens == ["The", " answer", " is"], c.logprobs)
    expect(complete(echo=True, max_tokens=0).choices[0].text == "The answer is")


@check("max_tokens 0 without echo is refused")
def _():
    raises(openai.UnprocessableEntityError, lambda: complete(max_tokens=0), param="max_tokens")


@check("an answer scored as a prompt has the numbers that it was reported with")
def _():
    ids = tokenize("What is 47 * 68?<think>\nTo")
    answer = complete(prompt=ids, max_tokens=40, logprobs=3).choices[0]
    whole = ids + tokenize(answer.text)
    expect(len(whole) == len(ids) + 40, answer.text)
    scored = complete(prompt=whole, max_tokens=0, echo=True, logprobs=3).choices[0].logprobs
    expect(scored.token_logprobs[len(ids) :] == answer.logprobs.token_logprobs, scored.token_logprobs)
    expect(scored.top_logprobs[len(ids) :] == answer.logprobs.top_logprobs)
    again = complete(prompt=whole, max_tokens=1, echo=True, logprobs=3).choices[0].logprobs
    expect(again.token_logprobs[: len(whole)] == scored.token_logprobs, "a cached prompt is scored as another")


@check("several prompts and choices are each scored")
def _():
    a = complete(prompt=["1 + 1 = ü", "2"], n=2, echo=True, logprobs=0, max_tokens=2)
    expect([c.logprobs.token_logprobs[0] for c in a.choices] == [None] * 4, a)
    expect(a.choices[0].logprobs == a.choices[1].logprobs and named(a.choices[2]) == a.choices[2].logprobs.tokens, a)
    whole = bytes(b for t in a.choices[0].logprobs.tokens for b in as_bytes(t)).decode()
    expect(whole == a.choices[0].text, whole)


def as_bytes(token):
    """A token's bytes from its name: part of a character is written "bytes:\\xc3"."""
    return bytes.fromhex(token[6:].replace("\\x", "")) if token.startswith("bytes:") else token.encode()


@check("a stream of an echo with logprobs joins to the whole")
def _():
    whole = complete(echo=True, logprobs=1).choices[0]
    parts = [c for chunk in complete(echo=True, logprobs=1, stream=True) for c in chunk.choices]
    for column in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        expect(sum((getattr(c.logprobs, column) for c in parts), []) == getattr(whole.logprobs, column), column, parts)
    expect("".join(c.text for c in parts) == whole.text)


@check("several prompts give several answers")
def _():
    a = complete(prompt=["1 + 1 =", "2 + 2 ="], n=2)
    expect([c.index for c in a.choices] == [0, 1, 2, 3], a)


@check("a prompt may be ids")
def _():
    ids = tokenize("The answer is")
    expect(complete(prompt=ids).choices[0].text == complete().choices[0].text, ids)


@check("a completion streams")
def _():
    text = "".join(c.text for chunk in complete(stream=True) for c in chunk.choices)
    expect(text == complete().choices[0].text, text)


@check("a suffix is refused where the model has no tokens for it")
def _():
    raises(openai.BadRequestError, lambda: complete(suffix="."), param="suffix")


@check("a prefix is continued under /beta")
def _():
    whole = content(ask())
    m = QUESTION + [{"role": "assistant", "content": whole[: whole.index("{") + 1], "prefix": True}]
    a = beta.chat.completions.create(model="deepseek-chat", messages=m, temperature=0, max_tokens=300, logprobs=True)
    expect(content(a) == whole[whole.index("{") + 1 :], content(a), whole)
    expect("".join(t.token for t in a.choices[0].logprobs.content) == content(a), a)
    a = beta.chat.completions.create(model="deepseek-reasoner", messages=m, temperature=0, max_tokens=300, stream=True)
    expect(joined(a) == whole[whole.index("{") + 1 :])


@check("a prefix that the model would not write is continued too")
def _():
    m = QUESTION + [{"role": "assistant", "content": "\nIt is \u00fc and \\boxed{", "prefix": True}]
    a = beta.chat.completions.create(model="deepseek-chat", messages=m, temperature=0, max_tokens=300, stop="}")
    expect(content(a) and "boxed" not in content(a), a)


@check("a prefix behind a reasoning that is sent too needs no other")
def _():
    thought = ask("deepseek-reasoner").choices[0].message
    at = thought.content.index("{") + 1
    m = QUESTION + [{"role": "assistant", "content": thought.content[:at], "reasoning_content": thought.reasoning_content, "prefix": True}]
    a = beta.chat.completions.create(model="deepseek-reasoner", messages=m, temperature=0, max_tokens=300)
    expect(content(a) == thought.content[at:] and a.usage.completion_tokens_details.reasoning_tokens == 0, a, thought)


@check("a prefix is refused beside a schema, as the reasoning comes first")
def _():
    m = QUESTION + [{"role": "assistant", "content": "x", "prefix": True}]
    raises(openai.BadRequestError, lambda: beta.chat.completions.create(model="deepseek-chat", messages=m, response_format=SCHEMA), param="messages")


# --- errors -------------------------------------------------------------------------------------------------------------------------


@check("a false key is AuthenticationError")
def _():
    c = openai.OpenAI(base_url=URL, api_key="sk-wrong", max_retries=0)
    raises(openai.AuthenticationError, c.models.list, code="invalid_api_key")


@check("a key without the right is PermissionDeniedError")
def _():
    c = openai.OpenAI(base_url=URL, api_key=os.environ["FATHOM_METRICS_KEY"], max_retries=0)
    raises(openai.PermissionDeniedError, c.models.list)


@check("embeddings are refused cleanly")
def _():
    e = raises(openai.NotFoundError, lambda: client.embeddings.create(model="deepseek-chat", input="a"))
    expect("embeddings" in str(e), e)


@check("images are refused cleanly")
def _():
    raises(openai.NotFoundError, lambda: client.images.generate(model="janus", prompt="a"))


@check("a model that draws gives pictures, the same by seed")
def _():
    painter = openai.OpenAI(base_url=os.environ["FATHOM_JANUS_URL"] + "/v1", api_key="none", max_retries=0)

    def draw(**more):
        return painter.images.generate(model="janus-pro-tiny", prompt="A red circle", size="auto", **more)

    first, again = (draw(n=2, response_format="b64_json", extra_body={"seed": 3, "guidance": 4}) for _ in range(2))
    pictures = [base64.b64decode(one.b64_json) for one in first.data]
    expect(len(pictures) == 2 and all(p.startswith(b"\x89PNG") for p in pictures), first)
    expect([one.b64_json for one in first.data] == [one.b64_json for one in again.data], "another picture")
    expect(first.usage.output_tokens == 72 and first.usage.total_tokens == first.usage.input_tokens + 72, first.usage)
    raises(openai.BadRequestError, lambda: draw(response_format="url"), param="response_format")


@check("a value out of range is UnprocessableEntityError and names field and range")
def _():
    e = raises(openai.UnprocessableEntityError, lambda: ask(temperature=5), param="temperature")
    expect("0 .. 2" in str(e), e)


@check("a wrong type is BadRequestError and names the field")
def _():
    raises(openai.BadRequestError, lambda: ask(temperature="warm"), param="temperature", type="invalid_request_error")


@check("a prompt beyond the context is BadRequestError with its code")
def _():
    m = [{"role": "user", "content": "seven " * 4000}]
    raises(openai.BadRequestError, lambda: ask(messages=m), code="context_length_exceeded")


@check("reasoning_content of an earlier turn is refused by a reasoning profile")
def _():
    m = QUESTION + [{"role": "assistant", "content": "3196", "reasoning_content": "hm"}] + QUESTION
    raises(openai.BadRequestError, lambda: ask("deepseek-reasoner", messages=m))


@check("a balance that is used up is status 402")
def _():
    c = openai.OpenAI(base_url=URL, api_key=os.environ["FATHOM_BROKE_KEY"], max_retries=0)
    e = raises(openai.APIStatusError, lambda: c.chat.completions.create(model="deepseek-chat", messages=QUESTION), status_code=402)
    expect(e.code == "insufficient_balance", e)


@check("a rate limit is RateLimitError with Retry-After")
def _():
    c = openai.OpenAI(base_url=URL, api_key=os.environ["FATHOM_LIMITED_KEY"], max_retries=0)
    go = lambda: c.chat.completions.create(model="deepseek-chat", messages=QUESTION, max_tokens=1)
    e = None
    for _ in range(200):
        try:
            go()
        except openai.RateLimitError as error:
            e = error
            break
    expect(e is not None and int(e.response.headers["retry-after"]) >= 1, e)


@check("the SDK's retries wait out a rate limit")
def _():
    c = openai.OpenAI(base_url=URL, api_key=os.environ["FATHOM_LIMITED_KEY"], max_retries=6)
    for _ in range(3):
        expect(c.chat.completions.create(model="deepseek-chat", messages=QUESTION, max_tokens=1).choices)


@check("a client's own time limit is APITimeoutError, and the next request works")
def _():
    c = client.with_options(timeout=0.001)
    raises(openai.APITimeoutError, lambda: c.chat.completions.create(model="deepseek-reasoner", messages=QUESTION))
    expect(content(ask()))


@check("an error has message, type, param and code")
def _():
    e = raises(openai.UnprocessableEntityError, lambda: ask(top_p=2))
    expect(set(e.body) == {"message", "type", "param", "code"}, e.body)


@check("the balance has the API's form")
def _():
    b = client.get("/user/balance", cast_to=httpx.Response).json()
    expect(isinstance(b["is_available"], bool) and isinstance(b["balance_infos"], list), b)


if __name__ == "__main__":
    expect(len(CHECKS) >= 60, len(CHECKS))
    sys.exit(run_all(sys.argv[1] if len(sys.argv) > 1 else ""))
