"""langchain-deepseek against a running fathom serve."""

import asyncio
import sys
from typing import Literal

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_deepseek import ChatDeepSeek
from pydantic import BaseModel, Field

from harness import KEY, URL, check, expect, run_all


def chat(model="deepseek-chat", **more):
    more.setdefault("temperature", 0)
    more.setdefault("max_tokens", 300)
    return ChatDeepSeek(model=model, api_key=KEY, api_base=URL + "/v1", **more)


QUESTION = "What is 47 * 68?"


@tool
def paint(colour: Literal["red", "green", "blue"]) -> str:
    """Paints the wall."""
    return f"The wall is {colour}."


class Verdict(BaseModel):
    """A verdict."""

    right: bool
    colour: Literal["red", "green"] = Field(description="A colour")


@check("langchain: invoke answers")
def _():
    expect(chat().invoke(QUESTION).content)


@check("langchain: reasoning is in additional_kwargs")
def _():
    m = chat("deepseek-reasoner").invoke(QUESTION)
    expect(m.additional_kwargs.get("reasoning_content") and "3196" in m.content, m)


@check("langchain: a stream joins to the answer")
def _():
    expect("".join(c.content for c in chat().stream(QUESTION)) == chat().invoke(QUESTION).content)


@check("langchain: reasoning streams")
def _():
    text = "".join(c.additional_kwargs.get("reasoning_content", "") for c in chat("deepseek-reasoner").stream(QUESTION))
    expect(text == chat("deepseek-reasoner").invoke(QUESTION).additional_kwargs["reasoning_content"], text)


@check("langchain: asynchronous calls answer")
def _():
    expect(asyncio.run(chat().ainvoke(QUESTION)).content == chat().invoke(QUESTION).content)


@check("langchain: a batch answers each")
def _():
    expect(all(m.content for m in chat().batch([QUESTION, "What is 1 + 1?", "What is 2 + 2?"])))


@check("langchain: a system message is taken")
def _():
    expect(chat().invoke([SystemMessage("Be brief."), HumanMessage(QUESTION)]).content)


@check("langchain: usage_metadata is filled")
def _():
    u = chat().invoke(QUESTION).usage_metadata
    expect(u["total_tokens"] == u["input_tokens"] + u["output_tokens"] > 0, u)


@check("langchain: a bound tool is called")
def _():
    m = chat().bind_tools([paint], tool_choice="required").invoke(QUESTION)
    expect(m.tool_calls and m.tool_calls[0]["name"] == "paint" and m.tool_calls[0]["args"]["colour"] in ("red", "green", "blue"), m)


@check("langchain: a tool's output is taken")
def _():
    bound = chat().bind_tools([paint], tool_choice="required", parallel_tool_calls=False)
    call = bound.invoke(QUESTION)
    output = ToolMessage(paint.invoke(call.tool_calls[0]["args"]), tool_call_id=call.tool_calls[0]["id"])
    expect(chat(max_tokens=8).invoke([HumanMessage(QUESTION), call, output]).response_metadata["finish_reason"])


@check("langchain: structured output by a tool")
def _():
    v = chat().with_structured_output(Verdict, method="function_calling").invoke(QUESTION)
    expect(isinstance(v, Verdict), v)


@check("langchain: structured output by a schema")
def _():
    v = chat().with_structured_output(Verdict, method="json_schema").invoke(QUESTION)
    expect(isinstance(v, Verdict), v)


@check("langchain: logprobs are in the metadata")
def _():
    m = chat(logprobs=True).invoke(QUESTION)
    expect(m.response_metadata["logprobs"]["content"], m.response_metadata)


if __name__ == "__main__":
    sys.exit(run_all(sys.argv[1] if len(sys.argv) > 1 else ""))
