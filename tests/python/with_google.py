"""Google's own package, told nothing but GOOGLE_GEMINI_BASE_URL and GEMINI_API_KEY."""

from common import LONG, MODEL, SAY, SCHEMA, USED_UP, cut, failures, refusals, tell, thin, used_up
from google import genai
from google.genai import errors, types

DECLARED = types.Tool(
    function_declarations=[types.FunctionDeclaration(name="weather", parameters_json_schema=SCHEMA)]
)

client = genai.Client()


def config(**more):
    return types.GenerateContentConfig(max_output_tokens=1_000, **more)


def chat():
    answer = client.models.generate_content(model=MODEL, contents=SAY, config=config())
    usage = answer.usage_metadata
    return {"text": answer.text, "input": usage.prompt_token_count, "output": usage.candidates_token_count}


def stream():
    text, chunks, usage = "", 0, None
    for chunk in client.models.generate_content_stream(model=MODEL, contents=SAY, config=config()):
        chunks += 1
        text += chunk.text or ""
        usage = chunk.usage_metadata or usage
    return {"text": text, "chunks": chunks, "output": usage.candidates_token_count}


def tools():
    """The call of a tool; and a round in which the package calls it itself."""
    answer = client.models.generate_content(model=MODEL, contents=SAY, config=config(tools=[DECLARED]))
    call = answer.function_calls[0]
    asked = []

    def weather(city: str, days: int) -> str:
        """The weather of some days."""
        asked.append({"city": city, "days": days})
        return "-20 °C"

    then = client.models.generate_content(model=MODEL, contents=SAY, config=config(tools=[weather]))
    return {"name": call.name, "arguments": call.args, "asked": len(asked), "then": then.text}


def tools_stream():
    pieces = client.models.generate_content_stream(model=MODEL, contents=SAY, config=config(tools=[DECLARED]))
    calls = [call for piece in pieces for call in piece.function_calls or []]
    return {"name": calls[0].name, "arguments": calls[0].args, "calls": len(calls)}


def embeddings():
    set = types.EmbedContentConfig(output_dimensionality=4)
    answer = client.models.embed_content(model=MODEL, contents=["one", "two"], config=set)
    return {"lengths": [len(one.values) for one in answer.embeddings]}


def call(model, headers):
    options = types.HttpOptions(headers=headers)
    client.models.generate_content(model=model, contents=SAY, config=config(http_options=options))


def said(error):
    inside = error.details["error"]
    code = inside["details"][0]["reason"] if "details" in inside else inside["code"]
    return {"status": error.code, "kind": error.status, "message": error.message, "code": code}


def cut_content():
    options = types.HttpOptions(headers=thin("content"))
    set = types.GenerateContentConfig(http_options=options)
    pieces = client.models.generate_content_stream(model=LONG, contents=SAY, config=set)
    return cut(pieces, errors.APIError, said=said)


once = genai.Client(http_options=types.HttpOptions(headers=USED_UP))
ELSE = {
    "stream": lambda: list(once.models.generate_content_stream(model=MODEL, contents=SAY, config=config())),
    "embeddings": lambda: once.models.embed_content(model=MODEL, contents=[SAY]),
    "models": lambda: list(once.models.list()),
    "tokens": lambda: once.models.count_tokens(model=MODEL, contents=SAY),
}

tell(
    chat=chat(),
    stream=stream(),
    tools=tools(),
    tools_stream=tools_stream(),
    embeddings=embeddings(),
    tokens=client.models.count_tokens(model=MODEL, contents=SAY).total_tokens,
    models=[model.name for model in client.models.list()],
    refusals=refusals(call, errors.APIError, said=said),
    used_up=used_up(ELSE, errors.APIError, said=said),
    cut=cut_content(),
    failures=failures(call, errors.APIError, said=lambda error: {"status": error.code}),
)
