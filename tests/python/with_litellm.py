"""LiteLLM as a library, with `api_base` for each of three providers."""

import json
import os

import litellm
import openai
from common import ASK, MODEL, SAY, SCHEMA, failures, refusals, tell

BASE = os.environ["BASE_URL"]
FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
PROVIDERS = {"openai": f"{BASE}/v1", "anthropic": BASE, "gemini": f"{BASE}/v1beta"}

# It would tell where to get help, on the standard output.
litellm.suppress_debug_info = True


def complete(provider, model, **more):
    return litellm.completion(
        model=f"{provider}/{model}",
        api_base=PROVIDERS[provider],
        api_key="anything",
        messages=ASK,
        max_tokens=1_000,
        **more,
    )


def chat(provider):
    answer = complete(provider, MODEL)
    return {
        "text": answer.choices[0].message.content,
        "input": answer.usage.prompt_tokens,
        "output": answer.usage.completion_tokens,
    }


def stream(provider):
    text, chunks, usage = "", 0, None
    for chunk in complete(provider, MODEL, stream=True, stream_options={"include_usage": True}):
        chunks += 1
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        usage = getattr(chunk, "usage", None) or usage
    return {"text": text, "chunks": chunks, "output": usage and usage.completion_tokens}


def tools(provider):
    answer = complete(provider, MODEL, tools=[FUNCTION])
    call = answer.choices[0].message.tool_calls[0]
    return {"name": call.function.name, "arguments": json.loads(call.function.arguments)}


def tools_stream(provider):
    chunks = list(complete(provider, MODEL, tools=[FUNCTION], stream=True))
    answer = litellm.stream_chunk_builder(chunks, messages=ASK)
    call = answer.choices[0].message.tool_calls[0]
    return {"name": call.function.name, "arguments": json.loads(call.function.arguments)}


def embeddings(provider):
    answer = litellm.embedding(
        model=f"{provider}/{MODEL}", api_base=PROVIDERS[provider], api_key="anything", input=["one", "two"]
    )
    return {"lengths": [len(one["embedding"]) for one in answer.data]}


def responses():
    answer = litellm.responses(
        model=f"openai/{MODEL}", api_base=PROVIDERS["openai"], api_key="anything", input=SAY
    )
    return {"text": answer.output[0].content[0].text, "output": answer.usage.output_tokens}


def through(provider):
    def call(model, headers):
        # A run of its own for each provider.
        complete(provider, model, extra_headers={**headers, "x-quota-run": provider})

    # Every class of the package is one of OpenAI's.
    return {
        "chat": chat(provider),
        "stream": stream(provider),
        "tools": tools(provider),
        "tools_stream": tools_stream(provider),
        "refusals": refusals(call, openai.APIError, said=lambda e: {"status": e.status_code, "message": str(e)}),
        "failures": failures(call, openai.APIError, said=lambda error: {"status": error.status_code}),
    }


tell(
    **{provider: through(provider) for provider in PROVIDERS},
    embeddings={provider: embeddings(provider) for provider in ("openai", "gemini")},
    responses=responses(),
)
