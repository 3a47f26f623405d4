"""Nothing but calls whose upstream fails, with OpenAI's own package as it comes, that is with its own repeats."""

import openai
from common import ASK, failures, tell

client = openai.OpenAI()


def call(model, headers):
    client.chat.completions.create(model=model, messages=ASK, extra_headers=headers)


tell(failures=failures(call, openai.APIError, said=lambda error: {}))
