"""LangChain's package for OpenAI, told nothing but OPENAI_BASE_URL and OPENAI_API_KEY."""

from common import MODEL, SAY, tell
from langchain_openai import ChatOpenAI

model = ChatOpenAI(model=MODEL)


def chat():
    answer = model.invoke(SAY)
    usage = answer.usage_metadata
    return {"text": answer.content, "input": usage["input_tokens"], "output": usage["output_tokens"]}


def stream():
    chunks = list(model.stream(SAY))
    return {"text": "".join(chunk.content for chunk in chunks), "chunks": len(chunks)}


tell(chat=chat(), stream=stream())
