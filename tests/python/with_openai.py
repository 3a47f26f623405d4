"""OpenAI's own package, told nothing but OPENAI_BASE_URL and OPENAI_API_KEY."""

import json

import openai
from common import ASK, LONG, MODEL, SAY, SCHEMA, USED_UP, cut, failures, refusals, tell, thin, used_up

FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
TOOL = {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}

client = openai.OpenAI()


def chat():
    answer = client.chat.completions.create(model=MODEL, messages=ASK)
    return {
        "text": answer.choices[0].message.content,
        "input": answer.usage.prompt_tokens,
        "output": answer.usage.completion_tokens,
    }


def stream(**more):
    text, chunks, usage = "", 0, None
    for chunk in client.chat.completions.create(model=MODEL, messages=ASK, stream=True, **more):
        chunks += 1
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    return {"text": text, "chunks": chunks, "output": usage and usage.completion_tokens}


def tools():
    """The call of a tool, and what is said when it has returned."""
    answer = client.chat.completions.create(model=MODEL, messages=ASK, tools=[FUNCTION])
    call = answer.choices[0].message.tool_calls[0]
    result = {"role": "tool", "tool_call_id": call.id, "content": "-20 °C"}
    messages = [*ASK, answer.choices[0].message, result]
    then = client.chat.completions.create(model=MODEL, messages=messages, tools=[FUNCTION])
    return {
        "name": call.function.name,
        "arguments": json.loads(call.function.arguments),
        "then": then.choices[0].message.content,
    }


def tools_stream():
    with client.chat.completions.stream(model=MODEL, messages=ASK, tools=[FUNCTION]) as events:
        answer = events.get_final_completion()
    call = answer.choices[0].message.tool_calls[0]
    return {"name": call.function.name, "arguments": json.loads(call.function.arguments)}


def embeddings():
    answer = client.embeddings.create(model=MODEL, input=["one", "two"], dimensions=4)
    return {"lengths": [len(one.embedding) for one in answer.data], "input": answer.usage.prompt_tokens}


def responses():
    answer = client.responses.create(model=MODEL, input=SAY)
    return {
        "text": answer.output_text,
        "input": answer.usage.input_tokens,
        "output": answer.usage.output_tokens,
    }


def responses_stream():
    deltas = 0
    with client.responses.stream(model=MODEL, input=SAY) as events:
        for event in events:
            deltas += event.type == "response.output_text.delta"
        answer = events.get_final_response()
    return {"text": answer.output_text, "chunks": deltas, "output": answer.usage.output_tokens}


def responses_tools():
    answer = client.responses.create(model=MODEL, input=SAY, tools=[TOOL])
    call = answer.output[0]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "-20 °C"}
    asked = [{"role": "user", "content": SAY}, call, result]
    then = client.responses.create(model=MODEL, input=asked, tools=[TOOL])
    return {"name": call.name, "arguments": json.loads(call.arguments), "then": then.output_text}


def responses_tools_stream():
    with client.responses.stream(model=MODEL, input=SAY, tools=[TOOL]) as events:
        call = events.get_final_response().output[0]
    return {"name": call.name, "arguments": json.loads(call.arguments)}


def call(model, headers):
    client.chat.completions.create(model=model, messages=ASK, max_tokens=1_000, extra_headers=headers)


def said(error):
    return {"status": error.status_code, "message": error.body["message"], "code": error.code}


def cut_chat():
    pieces = client.chat.completions.create(model=LONG, messages=ASK, stream=True, extra_headers=thin("chat"))
    return cut(pieces, openai.APIError, said=lambda error: {"message": error.message, "code": error.code})


def cut_responses():
    pieces = client.responses.create(model=LONG, input=SAY, stream=True, extra_headers=thin("responses"))
    return cut(pieces, openai.APIError, said=lambda error: {"message": error.message, "code": error.code})


once = client.with_options(default_headers=USED_UP)
ELSE = {
    "stream": lambda: once.chat.completions.create(model=MODEL, messages=ASK, stream=True),
    "responses": lambda: once.responses.create(model=MODEL, input=SAY),
    "responses_stream": lambda: once.responses.create(model=MODEL, input=SAY, stream=True),
    "embeddings": lambda: once.embeddings.create(model=MODEL, input=SAY),
    "models": lambda: list(once.models.list()),
}

tell(
    chat=chat(),
    stream=stream(),
    stream_usage=stream(stream_options={"include_usage": True}),
    tools=tools(),
    tools_stream=tools_stream(),
    embeddings=embeddings(),
    responses=responses(),
    responses_stream=responses_stream(),
    responses_tools=responses_tools(),
    responses_tools_stream=responses_tools_stream(),
    models=[model.id for model in client.models.list()],
    refusals=refusals(call, openai.APIStatusError, said=said),
    used_up=used_up(ELSE, openai.APIStatusError, said=said),
    cut={"chat": cut_chat(), "responses": cut_responses()},
    failures=failures(call, openai.APIStatusError, said=lambda error: {"status": error.status_code}),
)
