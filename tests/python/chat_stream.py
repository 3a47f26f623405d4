"""Chats through the gateway with OpenAI's own package, told nothing but OPENAI_BASE_URL and OPENAI_API_KEY.

Prints what came of it as one line of JSON.
"""

import json

import openai

SOMETHING = [{"role": "user", "content": "Say something."}]


def streamed(client, **more):
    text, chunks, usage = "", 0, None
    for chunk in client.chat.completions.create(model="sim-1", messages=SOMETHING, stream=True, **more):
        chunks += 1
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = chunk.usage or usage
    return {"text": text, "chunks": chunks, "usage": usage and usage.model_dump()}


def whole(client):
    answer = client.chat.completions.create(model="sim-1", messages=SOMETHING)
    return {"text": answer.choices[0].message.content, "usage": answer.usage.model_dump()}


def refused(create):
    try:
        create()
    except openai.APIStatusError as error:
        return {
            "class": type(error).__name__,
            "status": error.status_code,
            "message": error.body["message"],
            "code": error.code,
        }
    raise SystemExit("a call that should have been refused was answered")


def main():
    client = openai.OpenAI()
    once = openai.OpenAI(default_headers={"x-quota-agent": "once", "x-quota-run": "1"})
    small = lambda: client.chat.completions.create(model="sim-small", messages=SOMETHING, max_tokens=1_000)
    print(json.dumps({
        "stream": streamed(client),
        "stream_with_usage": streamed(client, stream_options={"include_usage": True}),
        "whole": whole(client),
        "models": [model.id for model in client.models.list()],
        "never_fits": refused(small),
        "once": whole(once),
        "used_up": refused(lambda: whole(once)),
    }))


main()
