"""One chat with OpenAI's own package as it comes, that is with its own repeats, and with the fault that FAULT names.

Prints what became of it as one line of JSON.
"""

import json
import os

import openai


def main():
    client = openai.OpenAI(default_headers={"x-sim-fault": os.environ["FAULT"]})
    try:
        client.chat.completions.create(model="sim-1", messages=[{"role": "user", "content": "Say something."}])
    except openai.APIStatusError as error:
        came = {"class": type(error).__name__, "status": error.status_code}
    except openai.APIConnectionError as error:
        came = {"class": type(error).__name__, "status": None}
    else:
        came = {"class": None, "status": 200}
    print(json.dumps(came))


main()
