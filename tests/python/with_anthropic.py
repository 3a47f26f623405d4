"""Anthropic's own package, told nothing but ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY."""

import anthropic
from common import ASK, MODEL, SCHEMA, USED_UP, failures, refusals, tell, used_up

TOOL = {"name": "weather", "input_schema": SCHEMA}

client = anthropic.Anthropic()


def chat():
    answer = client.messages.create(model=MODEL, max_tokens=1_000, messages=ASK)
    return {
        "text": answer.content[0].text,
        "input": answer.usage.input_tokens,
        "output": answer.usage.output_tokens,
    }


def stream():
    chunks = 0
    with client.messages.stream(model=MODEL, max_tokens=1_000, messages=ASK) as events:
        for _ in events.text_stream:
            chunks += 1
        answer = events.get_final_message()
    return {"text": answer.content[0].text, "chunks": chunks, "output": answer.usage.output_tokens}


def tools():
    """The call of a tool, and what is said when it has returned."""
    answer = client.messages.create(model=MODEL, max_tokens=1_000, messages=ASK, tools=[TOOL])
    use = answer.content[0]
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "-20 °C"}
    messages = [*ASK, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    then = client.messages.create(model=MODEL, max_tokens=1_000, messages=messages, tools=[TOOL])
    return {"name": use.name, "arguments": use.input, "then": then.content[0].text}


def tools_stream():
    with client.messages.stream(model=MODEL, max_tokens=1_000, messages=ASK, tools=[TOOL]) as events:
        use = events.get_final_message().content[0]
    return {"name": use.name, "arguments": use.input}


def call(model, headers):
    client.messages.create(model=model, max_tokens=1_000, messages=ASK, extra_headers=headers)


def said(error):
    inside = error.body["error"]
    code = inside["details"]["error_code"] if "details" in inside else inside["code"]
    return {"status": error.status_code, "message": inside["message"], "code": code}


once = client.with_options(default_headers=USED_UP)
ELSE = {
    "stream": lambda: once.messages.create(model=MODEL, max_tokens=1_000, messages=ASK, stream=True),
    "models": lambda: list(once.models.list()),
    "tokens": lambda: once.messages.count_tokens(model=MODEL, messages=ASK),
}

tell(
    chat=chat(),
    stream=stream(),
    tools=tools(),
    tools_stream=tools_stream(),
    models=[model.id for model in client.models.list()],
    tokens=client.messages.count_tokens(model=MODEL, messages=ASK).input_tokens,
    refusals=refusals(call, anthropic.APIStatusError, said=said),
    used_up=used_up(ELSE, anthropic.APIStatusError, said=said),
    failures=failures(call, anthropic.APIStatusError, said=lambda error: {"status": error.status_code}),
)
